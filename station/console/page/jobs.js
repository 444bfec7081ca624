// The view of a running lot: strip, site tiles, map, figures, trend, bins.
import { html, svg, nothing } from './vendor/lit-html.js';
import { S, paint, bin } from './model.js';
import { t, num, percent } from './words.js';
import { map } from './parts.js';
import { ask } from './dialogs.js';
import { find } from './devices.js';
import { preflight } from './preflight.js';

const field = (id, value, note = nothing) => html`<div><small>${t(id)}</small><b>${value}</b>${note}</div>`;

function strip() {
  const { lot, sum } = S;
  if (!lot) return html`<p>${t(S.engine?.more_lots ? 'jobs.no_lot' : 'jobs.no_lot_yet')}</p>`;
  return html`${field('strip.lot', lot.sublot ? `${lot.lot}/${lot.sublot}` : lot.lot)}${field('strip.state', t(`state.${sum.state}`))}${field('strip.product', lot.product)}
    ${field('strip.program', lot.sequence, html`<code title=${lot.fingerprint}>${lot.recipe ? `${lot.recipe} · ` : ''}${lot.fingerprint.slice(0, 8)}</code>`)}
    ${sum.wafer ? field('strip.wafer', sum.wafer) : nothing}${(sum.assets ?? []).map((one) => field(`asset.${one.kind}`, html`${one.touchdowns >= one.limit ? '▲ ' : one.touchdowns >= one.warning ? '◆ ' : ''}${one.name} ${num(one.touchdowns)} / ${num(one.limit)}`))}${field('strip.done', `${num(sum.tested)} / ${num(lot.quantity)}`)}
    <progress max=${lot.quantity} .value=${sum.tested} aria-label=${t('strip.done')}></progress>`;
}

// -- sites
const FAILING = 5;
function tile(one) {
  const last = bin(one.bin), alarm = one.use === 'off' ? 'alarm' : one.failing >= FAILING ? 'caution' : '';
  const mark = one.use === 'off' ? '▲' : alarm ? '◆' : '';
  return html`<button class="tile ${alarm} ${one.use}" data-site=${one.site} title=${one.why} @click=${() => ask('site', { site: one.site })}>
    <div><span>${t('tile.site', { site: String(one.site) })}</span><span class="mark">${mark}</span></div>
    <b>${one.use === 'off' ? t('tile.off') : percent(one.good, one.tested)}</b>
    <div><span class="count">${num(one.tested)}</span><span class="last">${last ? html`${t('tile.bin', { bin: String(last.number) })}` : '–'}</span></div>
    ${one.failing > 1 ? html`<div class="failing">${t('tile.failing', { n: one.failing })}</div>` : nothing}</button>`;
}
function tiles() {
  const { sites } = S.sum;
  const size = sites.length <= 8 ? 'few' : sites.length <= 16 ? 'more' : 'many';
  return html`<div class="tiles ${size}" data-count=${sites.length}>${sites.map(tile)}</div>`;
}

// -- map
const PLANES = ['last', 'first', 'again', 'site'];
const tool = (id, sign, act) => html`<button class="tool" aria-label=${t(id)} title=${t(id)} @click=${act}>${sign}</button>`;
const nextPlane = () => { S.mapView = PLANES[(PLANES.indexOf(S.mapView) + 1) % PLANES.length]; map.look({ plane: S.mapView }); paint(); };
function picked() {
  const die = map.picked;
  if (!die) return t(S.map?.kind === 'tray' ? 'map.tap_device' : 'map.tap_die');
  const part = die.y * S.map.width + die.x + 1, known = S.lot?.bins[die.last - 1];
  const where = S.map.kind === 'tray' ? t('map.device', { part: String(part) }) : t('map.die', { x: String(die.x), y: String(die.y) });
  if (!known) return `${where}: ${t('map.untested')}`;
  const again = die.first !== die.last && S.lot.bins[die.first - 1] ? ` (${t('map.was', { bin: String(S.lot.bins[die.first - 1].number) })})` : '';
  return `${where}: ${t('tile.bin', { bin: String(known.number) })} ${known.name}${again}, ${t('tile.site', { site: String(die.site) })}`;
}
function lookUp() {
  const { x, y } = map.picked;
  find(S.map.kind === 'tray' ? y * S.map.width + x + 1 : `${x},${y}`);
  S.view = 'devices';
  paint();
}
function nextBin() {
  const there = [0, ...S.lot.bins.map((_, n) => n + 1).filter((place) => S.sum.bins[S.lot.bins[place - 1].number])];
  S.only = there[(there.indexOf(S.only) + 1) % there.length];
  map.look({ only: S.only });
  paint();
}
function mapBox() {
  const only = S.lot?.bins[S.only - 1];
  map.name(`${t('map.map')}: ${num(S.sum.tested)} ${t('lot.tested')}, ${num(S.sum.good)} ${t('lot.good')}`);
  return html`<section class="mapbox" aria-label=${t('map.map')}><div class="canvas">${map}</div>
    <div class="below">${tool('map.closer', '+', () => map.scale(1.6))}${tool('map.further', '−', () => map.scale(1 / 1.6))}${tool('map.whole', '⤢', () => map.whole())}
    ${tool('map.turn', '⟳', () => map.look({ turn: (map.turn + 1) % 4 }))}${tool('map.mirror', '⇋', () => map.look({ mirrored: !map.mirrored }))}
    <button class="look" data-look="plane" @click=${nextPlane}><small>${t('map.view')}</small> ${t(`map.${S.mapView}`)}</button>
    <button class="look" data-look="only" ?disabled=${!S.lot} @click=${nextBin}><small>${t('map.only')}</small> ${only ? `${only.number} ${only.name}` : t('map.all')}</button>
    <output aria-live="polite">${picked()}</output>${map.picked ? html`<button class="look" data-look="device" @click=${lookUp}>${t('device.find')}</button>` : nothing}</div></section>`;
}

// -- figures
const figure = (id, value, unit = '') => html`<div><small>${t(id)}</small><b>${value}</b>${unit ? html` <span>${unit}</span>` : nothing}</div>`;
function figures() {
  const s = S.sum;
  return html`<section class="figures" aria-label=${t('figures.figures')}>${figure('figures.yield', s.tested ? (100 * s.good / s.tested).toFixed(2) : '–', '%')}
    ${figure('figures.first', s.tested ? (100 * s.first_good / s.tested).toFixed(2) : '–', '%')}${figure('figures.uph', s.units_per_hour ? num(Math.round(s.units_per_hour)) : '–')}${figure('figures.retested', num(s.retested))}</section>`;
}

const soft = ({ lot, sum }) => lot.bins.map((one, n) => ({ ...one, place: n + 1, count: sum.bins[one.number] ?? 0 }));
const hard = (all) => Object.entries(all.sum.hard).map(([number, count]) => {
  const inside = soft(all).filter((one) => String(one.hard) === number), there = inside.filter((one) => one.count);
  return { number, count, name: there.map((one) => one.name).join(', '), kind: inside.some((one) => one.kind === 'pass') ? 'pass' : 'fail', place: inside[0]?.place };
});
function pareto() {
  const { lot, sum } = S;
  if (!lot) return nothing;
  const rows = (S.hard ? hard : soft)(S).filter((one) => one.count).sort((a, b) => (b.kind === 'pass') - (a.kind === 'pass') || b.count - a.count);
  const most = Math.max(1, ...rows.filter((one) => one.kind !== 'pass').map((one) => one.count));
  return html`<section class="pareto" tabindex="0" aria-label=${t('pareto.bins')}><button class="look" data-look="bins" @click=${() => { S.hard = !S.hard; paint(); }}><small>${t('map.view')}</small> ${t(S.hard ? 'lot.hard' : 'lot.soft')}</button>${rows.length ? nothing : html`<p>${t('pareto.none')}</p>`}${rows.map((one) => html`<div class="bin ${one.kind} ${!S.hard && S.only === one.place ? 'only' : ''}" data-bin=${one.number}>
    <b>${one.number}</b><span class="name">${one.name}</span><span>${num(one.count)}</span><span>${percent(one.count, sum.tested)}</span>
    <svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">${svg`<rect width=${one.kind === 'pass' ? 100 : (100 * one.count) / most} height="4" fill=${map.colourOf(one.place)}/>`}</svg></div>`)}</section>`;
}

const before = () => ['LOADED', 'CHECKING', 'READY'].includes(S.sum.state) || (['HELD', 'ABORTED'].includes(S.sum.state) && !S.sum.touchdowns);
export const jobs = (trend) => html`<div class="strip">${strip()}</div>${tiles()}
  <div class="row">${mapBox()}<div class="side">${before() ? preflight() : html`${figures()}<section class="trend" aria-label=${t('trend.trend')}><small>${t('trend.caption')}</small>${trend}</section>${pareto()}`}</div></div>`;
