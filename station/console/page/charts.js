// Charts of the engineers' page: each keeps its box, and is made anew when what it shows has another form.
const boxes = new Map();
export const COLOURS = 8;
const LIGHT = ['#1f63ad', '#b35c00', '#1d7d49', '#8a2f8f', '#a01e2c', '#4a6572', '#6a5d00', '#00707a'], DARK = ['#5aa2ea', '#f0a04b', '#4fc985', '#d07be0', '#ff7a86', '#a8c0cc', '#d8c23a', '#35c4d6'];
const colour = (place) => (document.documentElement.dataset.theme === 'dark' ? DARK : LIGHT)[place % COLOURS];
export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
export const short = (value, digits = 5) => (value === null || value === undefined ? '–' : String(Number(value.toPrecision(digits))));

// -- what is drawn
export const dots = (place, size = 6) => ({ stroke: colour(place), paths: () => null, points: { show: true, size, fill: colour(place) } });
export const line = (more = {}) => ({ stroke: css('--busy'), width: 2, points: { show: false }, ...more });
export const bound = () => line({ stroke: css('--alarm'), dash: [6, 4] });
export const middle = () => line({ stroke: css('--muted'), width: 1 });
export const marked = () => ({ stroke: css('--alarm'), paths: () => null, points: { show: true, size: 11, width: 3, stroke: css('--alarm'), fill: css('--card') } });
export const columns = () => ({ stroke: css('--busy'), fill: css('--busy'), width: 0, paths: uPlot.paths.bars({ size: [0.94, Infinity], align: 1 }), points: { show: false } });

// Upright lines, as limits of a distribution are.
export const upright = (xs) => (u) => {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.strokeStyle = css('--alarm'); ctx.lineWidth = 2 * devicePixelRatio; ctx.setLineDash([6, 4]);
  for (const x of xs) {
    const at = u.valToPos(x, 'x', true);
    if (at < bbox.left || at > bbox.left + bbox.width) continue;
    ctx.beginPath(); ctx.moveTo(at, bbox.top); ctx.lineTo(at, bbox.top + bbox.height); ctx.stroke();
  }
  ctx.restore();
};

// Returns the box of a chart. `of` is what the data were made of: as long as it is the same, nothing is drawn again.
export function chart(name, label, of, data, series, { draw, y, whole = false, low = false } = {}) {
  const one = boxes.get(name) ?? { box: document.createElement('div') };
  boxes.set(name, one);
  one.box.className = low ? 'plot low' : 'plot tall';
  one.box.setAttribute('role', 'img');
  one.box.setAttribute('aria-label', label);
  requestAnimationFrame(() => drawn(one, `${label} ${series.length} ${document.documentElement.dataset.theme}`, of, data, series, { draw, y, whole }));
  return one.box;
}

const WHOLE = [1, 2, 5].flatMap((first) => [0, 1, 2, 3, 4, 5].map((tens) => first * 10 ** tens)).sort((a, b) => a - b);
function drawn(one, key, of, data, series, { draw, y, whole }) {
  const width = one.box.clientWidth, height = one.box.clientHeight;
  if (!width || !height) return;
  if (one.plot && (one.key !== key || one.plot.width !== width)) { one.plot.destroy(); one.plot = null; }
  if (one.plot && one.of === of) return;
  one.key = key; one.of = of;
  const axis = { stroke: css('--muted'), grid: { stroke: css('--line'), width: 1 }, ticks: { show: false }, font: '14px sans-serif' };
  const told = (_, values) => values.map((value) => short(value, 4));
  one.plot ??= new uPlot({
    width, height, legend: { show: false }, cursor: { show: false }, padding: [8, 14, 0, 0],
    scales: { x: { time: false }, y: y ?? {} }, hooks: { draw: draw ? [draw] : [] },
    series: [{}, ...series], axes: [{ ...axis, size: 26, values: told, ...(whole ? { incrs: WHOLE } : {}) }, { ...axis, size: 84, values: told }],
  }, [[]], one.box);
  one.plot.setData(data);
}
