// What is drawn by itself and lives as long as the page.
import { WaferMap } from './map.js';
import { S } from './model.js';

export const map = new WaferMap();
map.className = 'map';
export const trendBox = document.createElement('div');
trendBox.className = 'plot';

let plot, shown = -1, lot = null;
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function made() {
  const line = { stroke: css('--muted'), grid: { stroke: css('--line'), width: 1 }, ticks: { show: false }, font: '14px sans-serif' };
  return new uPlot({
    width: Math.max(120, trendBox.clientWidth), height: Math.max(60, trendBox.clientHeight),
    legend: { show: false }, cursor: { show: false }, padding: [8, 28, 0, 0],
    scales: { x: { time: false }, y: { range: (_, low, high) => (low === null ? [0.8, 1] : [Math.max(0, Math.floor(low * 20 - 0.5) / 20), Math.min(1, Math.ceil(high * 20 + 0.5) / 20)]) } },
    series: [{}, { stroke: css('--ink'), width: 2, points: { size: 5 } }],
    axes: [{ ...line, size: 26 }, { ...line, size: 52, values: (_, values) => values.map((value) => `${Math.round(100 * value)} %`) }],
  }, [[], []], trendBox);
}

export function drawTrend(anew = false) {
  if (!trendBox.clientWidth) return;
  if (anew && plot) { plot.destroy(); plot = null; }
  const height = Math.max(60, trendBox.clientHeight);
  if (plot && (plot.width !== trendBox.clientWidth || plot.height !== height)) plot.setSize({ width: trendBox.clientWidth, height });
  if (plot && shown === S.trend.length && lot === S.lot) return;
  plot ??= made();
  shown = S.trend.length; lot = S.lot;
  // Without a point there are no axes, and the lowest label would lie on the edge.
  plot.setData(shown ? [S.trend.map((point) => point[0]), S.trend.map((point) => point[1])] : [[0, S.lot?.quantity ?? 10], [null, null]]);
}
