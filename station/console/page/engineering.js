// For engineers: the latest values of a test as they come, by site, with its limits.
import { html } from './vendor/lit-html.js';
import { S, paint } from './model.js';
import { t, num } from './words.js';
import { looked } from './lookup.js';

const box = document.createElement('div');
box.className = 'plot tall';
const COLOURS = ['#1f63ad', '#b35c00', '#1d7d49', '#8a2f8f', '#a01e2c', '#4a6572', '#6a5d00', '#00707a'];
const limit = (one) => (one === null ? '–' : String(Number(one.toPrecision(6))));
let test = '', plot, of = '', worked = {};

function drawn(found, sites) {
  const key = `${found.test} ${sites.join()}`, width = box.clientWidth, height = box.clientHeight;
  if (!width || !height) return;
  if (plot && (of !== key || plot.width !== width)) { plot.destroy(); plot = null; }
  of = key;
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = { stroke: css('--muted'), grid: { stroke: css('--line'), width: 1 }, ticks: { show: false }, font: '14px sans-serif' };
  const limits = [found.low, found.high].filter((one) => one !== null);
  plot ??= new uPlot({
    width, height, legend: { show: false }, cursor: { show: false }, scales: { x: { time: false } },
    series: [{}, ...sites.map((site) => ({ stroke: COLOURS[(site - 1) % COLOURS.length], paths: () => null, points: { show: true, size: 6, fill: COLOURS[(site - 1) % COLOURS.length] } })), ...limits.map(() => ({ stroke: css('--alarm'), width: 2, dash: [6, 4], points: { show: false } }))],
    axes: [{ ...axis, size: 26 }, { ...axis, size: 80, values: (_, values) => values.map((one) => Number(one.toPrecision(4)).toString()) }],
  }, [[]], box);
  const xs = found.points.map(([place]) => place);
  plot.setData([xs, ...sites.map((site) => found.points.map((one) => (one[1] === site ? one[2] : null))), ...limits.map((limit) => xs.map(() => limit))]);
}

function report(lot) {
  const show = () => { worked = { lot, page: `/api/v1/lot/report?at=${Date.now()}` }; paint(); };
  return html`<h2>${t('report.title')}</h2><p>${t('report.how')}</p><div class="search"><button data-report @click=${show}>${t('report.show')}</button></div>
    ${worked.lot === lot ? html`<iframe class="report" title=${t('report.title')} src=${worked.page}></iframe>` : ''}`;
}

export function engineering() {
  const found = S.lot && /^\d+$/.test(test) ? looked(`lot/trace?test=${test}`, 1) : null;
  const summary = S.lot && looked('lot/summary', 60), tests = (summary?.info?.tests || []).filter((one) => one.kind === 'P');
  const points = found?.points ?? [], sites = [...new Set(points.map(([, site]) => site))].sort((a, b) => a - b);
  if (points.length) requestAnimationFrame(() => drawn(found, sites));
  const last = (site) => points.findLast((one) => one[1] === site)?.[2];
  return html`<section tabindex="0" role="region" aria-label=${t('view.engineering')} class="scroll sheet trace"><h2>${t('trace.title')}</h2>
    <div class="search"><label for="test"><span>${t('dialog.test')}</span><select id="test" @change=${(e) => { test = e.target.value; paint(); }}><option value=""></option>${tests.map((one) => html`<option value=${one.number} ?selected=${String(one.number) === test}>${one.number} ${one.name}</option>`)}</select></label></div>
    ${!S.lot ? html`<p>${t('jobs.no_lot')}</p>` : !found ? html`<p>${t('trace.how')}</p>` : found.name ? html`<p><b>${found.test} ${found.name}</b> ${limit(found.low)} … ${limit(found.high)} ${found.unit} · ${t('trace.points', { n: points.length })}</p>
    <p>${sites.map((site) => html`<span class="site"><span aria-hidden="true" class="key" data-colour=${(site - 1) % COLOURS.length}>●</span> ${t('tile.site', { site: String(site) })}: ${num(Number(last(site).toPrecision(6)))}</span> `)}</p>${box}` : html`<p role="status">${t('trace.none', { test })}</p>`}
    ${S.lot ? report(summary?.info?.lot) : ''}</section>`;
}
