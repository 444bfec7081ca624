// An engineering lot row by row: which site stands behind which row, what it has measured, and sweeps, live.
import { html, nothing } from './vendor/lit-html.js';
import { S, paint, say } from './model.js';
import { t, num } from './words.js';
import { input } from './fields.js';
import { send, objection } from './commands.js';
import { short, css } from './charts.js';

const LOT = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,30}$/, BOUNDS = ['60', '300', '900', '3600'];
const form = { lot: '', quantity: '4', to: '', bound: '300', x: null, y: null };
const rows = () => S.engine?.rows ?? [];
const choose = (id, label, value, options, change) => html`<label for=${id}><span>${label}</span><select id=${id} @change=${(e) => { change(e.target.value); paint(); }}>${options.map(([one, name]) => html`<option value=${one} ?selected=${one === value}>${name}</option>`)}</select></label>`;
const act = (name, label, run, more = {}) => {
  const why = more.why || objection(name);
  return html`<button class="acts" data-act=${more.id ?? name} aria-disabled=${why ? 'true' : 'false'} @click=${() => (why ? say('info', why) : run())}>${label}</button>`;
};

// -- a lot for engineering
function begin() {
  const wrong = !LOT.test(form.lot) ? t('dialog.fault.lot') : !/^[1-9]\d*$/.test(form.quantity) ? t('dialog.fault.quantity') : '';
  return html`<p>${t('step.how')}</p><div class="search form">${input('lot', 'text', form.lot, (x) => { form.lot = x; })}${input('quantity', 'number', form.quantity, (x) => { form.quantity = x; })}
    <p class="fault" role="status">${wrong || objection('lot.load')}</p>${act('lot.load', t('step.load'), () => send('lot.load', { lot: form.lot, quantity: Number(form.quantity), mode: 'E' }), { why: wrong })}</div>`;
}

// -- steps
const step = (sites, go) => send('lot.step', { sites, go, row: go === 'to' ? Number(form.to) : 0, bound_s: Number(form.bound) });
const steps = (sites, id) => html`<div class="tabs">${act('lot.step', t('step.next'), () => step(sites, 'next'), { id: `next-${id}` })}
  ${act('lot.step', t('step.to', { row: form.to || '…' }), () => step(sites, 'to'), { id: `to-${id}`, why: form.to ? '' : t('trace.how') })}${act('lot.step', t('step.on'), () => step(sites, 'on'), { id: `on-${id}` })}</div>`;

const value = ({ measurement: one }) => (!one ? t('step.not_run') : one.kind === 'F' ? t(`device.${one.verdict}`) : one.values?.length ? one.values.map((each) => short(each, 4)).join(' ') : one.value === null ? '–' : short(one.value, 6));
const limits = (one) => (one.limit ? `${short(one.limit.low)} … ${short(one.limit.high)} ${one.limit.unit}` : '');
function readings(halt) {
  return halt.readings.length ? html`<table data-table="readings"><tbody>${halt.readings.map((one, n) => html`<tr class=${one.measurement && one.measurement.verdict !== 'passed' ? 'failed' : ''} aria-current=${n === halt.readings.length - 1 ? 'true' : 'false'}><th scope="row">${one.row}</th><td class="name">${one.name}</td><td>${value(one)}</td><td>${one.measurement && one.measurement.verdict !== 'passed' ? `◆ ${t(`device.${one.measurement.verdict}`)}` : ''}</td><td class="name">${limits(one)}</td><td class="name">${one.measurement?.text ?? ''}</td></tr>`)}</tbody></table>` : nothing;
}

function site(tile) {
  const halt = S.sum.halts?.find((one) => one.site === tile.site), row = halt && rows().find((one) => one.number === halt.row);
  return html`<li class="entry ${halt ? 'busy' : ''}" data-stand=${tile.site}><div class="head"><b>${t('tile.site', { site: String(tile.site) })}</b>${halt ? html`<span>${t('map.device', { part: String(halt.part) })}</span><b>${halt.row ? t('step.behind', { row: `${halt.row} ${row?.name ?? ''}` }) : t('step.before')}</b><span>${t('step.left', { n: Math.max(0, Math.round(halt.until - S.sum.at)) })}</span>` : html`<span>${t(tile.contact || tile.use === 'contact' ? 'step.runs' : 'step.waits')}</span>`}</div>
    ${halt ? html`${readings(halt)}${steps([tile.site], tile.site)}${row?.swept.length ? sweep(tile.site, row) : nothing}` : nothing}${(S.sum.sweeps ?? []).filter((one) => one.site === tile.site).map(now)}</li>`;
}

// -- sweeps
const axis = (range) => ({ name: range.name, start: String(range.low), stop: String(range.high), points: '21' });
const number = (text) => (text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : null);
const field = (id, label, one, key) => html`<label for=${id}><span>${label}</span><input id=${id} type="text" inputmode="decimal" autocomplete="off" .value=${one[key]} @input=${(e) => { one[key] = e.target.value; paint(); }}></label>`;
function ends(which, row) {
  const one = form[which], range = row.swept.find((each) => each.name === one?.name);
  return html`<div class="axis">${choose(`axis-${which}`, which, one?.name ?? '', [...(which === 'y' ? [['', '–']] : []), ...row.swept.map((each) => [each.name, `${each.name} [${each.unit}]`])], (name) => { const range = row.swept.find((each) => each.name === name); form[which] = range ? axis(range) : null; })}
    ${one ? html`${field(`${which}-start`, t('shmoo.from'), one, 'start')}${field(`${which}-stop`, t('shmoo.to'), one, 'stop')}${field(`${which}-points`, t('shmoo.points'), one, 'points')}<small>${range ? `${range.low} … ${range.high} ${range.unit}` : ''}</small>` : nothing}</div>`;
}
const asked = (one) => ({ name: one.name, start: number(one.start), stop: number(one.stop), points: Number(one.points) });
const wrong = (one) => (one && (number(one.start) === null || number(one.stop) === null || !/^[1-9]\d*$/.test(one.points)) ? t('shmoo.fault') : '');

function sweep(at, row) {
  if (!row.swept.some((one) => one.name === form.x?.name)) form.x = axis(row.swept[0]);
  if (form.y && !row.swept.some((one) => one.name === form.y.name)) form.y = null;
  const why = wrong(form.x) || wrong(form.y);
  return html`<details class="sweep" open><summary>${t('shmoo.title', { row: `${row.number} ${row.name}` })}</summary>${ends('x', row)}${row.swept.length > 1 ? ends('y', row) : nothing}
    ${act('lot.shmoo', t('shmoo.begin'), () => send('lot.shmoo', { site: at, row: row.number, x: asked(form.x), ...(form.y ? { y: asked(form.y) } : {}) }), { id: `shmoo-${at}`, why })}</details>`;
}

// A cell a point, y upwards; passed, failed and not judged by colour and by sign, if there is room for one.
const SIGN = ['·', '+', '?'], FAILED = '#b3261e', boxes = new Map();
function drawn(canvas, one, points) {
  const ratio = devicePixelRatio, width = canvas.clientWidth * ratio, height = canvas.clientHeight * ratio;
  if (!width) return;
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  const context = canvas.getContext('2d'), columns = one.x.points, lines = one.y?.points ?? 1, w = width / columns, h = height / lines;
  const colours = [FAILED, css('--pass'), css('--caution')], place = (axis, at) => (axis.points < 2 ? 0 : Math.round(((at - axis.start) / (axis.stop - axis.start)) * (axis.points - 1)));
  context.fillStyle = css('--untested');
  context.fillRect(0, 0, width, height);
  context.font = `${Math.min(w, h, 18 * ratio)}px sans-serif`; context.textAlign = 'center'; context.textBaseline = 'middle';
  for (const [, , x, y, code] of points) {
    const left = place(one.x, x) * w, top = (lines - 1 - (one.y ? place(one.y, y) : 0)) * h;
    context.fillStyle = colours[code];
    context.fillRect(Math.floor(left), Math.floor(top), Math.ceil(w), Math.ceil(h));
    if (Math.min(w, h) < 10 * ratio) continue;
    context.fillStyle = code === 2 ? '#000' : code ? css('--ink') : '#fff';
    context.fillText(SIGN[code], left + w / 2, top + h / 2);
  }
}

const now = (one) => plot(one, (S.swept.get(one.site) ?? []).filter(([, which]) => which === one.number), one.site);
export function plot(one, points, key) {
  const passed = points.filter(([, , , , code]) => code === 1).length, whole = one.x.points * (one.y?.points ?? 1), last = points.at(-1);
  const canvas = boxes.get(key) ?? document.createElement('canvas');
  boxes.set(key, canvas);
  canvas.className = one.y ? 'shmoo' : 'shmoo flat';
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', t('shmoo.passed', { passed, n: points.length, whole }));
  requestAnimationFrame(() => drawn(canvas, one, points));
  return html`<section data-sweep=${one.site}><h3>${t('tile.site', { site: String(one.site) })} · ${one.row} ${one.name} · ${one.y ? `${one.y.name} ${short(one.y.start)} … ${short(one.y.stop)} ↑ · ` : ''}${one.x.name} ${short(one.x.start)} … ${short(one.x.stop)} →</h3>${canvas}
    <p role="status">${t('shmoo.passed', { passed, n: points.length, whole })}${one.over ? ` · ${one.failed ? `◆ ${one.failed}` : t('shmoo.over')}` : ''}${last ? ` · ${one.x.name} ${short(last[2])}${one.y ? `, ${one.y.name} ${short(last[3])}` : ''}: ${last[5] === null ? SIGN[last[4]] : short(last[5])}` : ''}</p></section>`;
}

export function view() {
  const mine = S.lot?.mode === 'E' && !S.lot.study && S.sum.state !== 'CLOSED';
  if (!mine) return begin();
  const ready = ['LOADED', 'READY', 'PAUSED'].includes(S.sum.state);
  return html`<p><b>${S.lot.lot}</b> · ${t(`state.${S.sum.state}`)} · ${num(S.sum.tested)} / ${num(S.lot.quantity)}</p>
    <div class="tabs">${choose('step-to', t('step.test'), form.to, [['', ''], ...rows().map((one) => [String(one.number), `${one.number} ${one.name}`])], (one) => { form.to = one; })}${choose('step-bound', t('step.bound'), form.bound, BOUNDS.map((one) => [one, t('step.seconds', { n: Number(one) })]), (one) => { form.bound = one; })}
    ${ready ? act(S.sum.state === 'PAUSED' ? 'lot.resume' : 'lot.start', t(S.sum.state === 'PAUSED' ? 'command.lot.resume' : 'command.lot.start'), () => send(S.sum.state === 'PAUSED' ? 'lot.resume' : 'lot.start')) : nothing}</div>
    <h2>${t('step.all')}</h2>${steps([], 'all')}<ul>${S.sum.sites.map(site)}</ul>`;
}
