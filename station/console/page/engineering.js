// For engineers: the latest values of a test as they come, and, loaded when it is first wanted, all else.
import { html } from './vendor/lit-html.js';
import { S, paint } from './model.js';
import { t, num, moreWords } from './words.js';
import { looked } from './lookup.js';
import { chart, COLOURS, dots, bound, short } from './charts.js';

const PARTS = { lots: () => import('./lots.js'), study: () => import('./study.js'), golden: () => import('./golden.js'), step: () => import('./step.js') };
const loaded = {};
let shown = 'live', test = '';

function part(name) {
  loaded[name] ??= Promise.all([PARTS[name](), moreWords('engineer')]).then(([found]) => { loaded[name] = found.view; paint(); });
  return typeof loaded[name] === 'function' ? loaded[name]() : html`<p role="status">…</p>`;
}

function live() {
  const found = S.lot && /^\d+$/.test(test) ? looked(`lot/trace?test=${test}`, 1) : null;
  const summary = S.lot && looked('lot/summary', 60), tests = (summary?.info?.tests || []).filter((one) => one.kind === 'P');
  return html`<h2>${t('trace.title')}</h2>
    <div class="search"><label for="test"><span>${t('dialog.test')}</span><select id="test" @change=${(e) => { test = e.target.value; paint(); }}><option value=""></option>${tests.map((one) => html`<option value=${one.number} ?selected=${String(one.number) === test}>${one.number} ${one.name}</option>`)}</select></label></div>
    ${!S.lot ? html`<p>${t('jobs.no_lot')}</p>` : !found ? html`<p>${t('trace.how')}</p>` : found.name ? trace(found) : html`<p role="status">${t('trace.none', { test })}</p>`}`;
}

function trace(found) {
  const { points } = found, sites = [...new Set(points.map(([, site]) => site))].sort((a, b) => a - b);
  const limits = [found.low, found.high].filter((one) => one !== null), xs = points.map(([place]) => place);
  const last = (site) => points.findLast((one) => one[1] === site)?.[2];
  const data = [xs, ...sites.map((site) => points.map((one) => (one[1] === site ? one[2] : null))), ...limits.map((limit) => xs.map(() => limit))];
  return html`<p><b>${found.test} ${found.name}</b> ${short(found.low, 6)} … ${short(found.high, 6)} ${found.unit} · ${t('trace.points', { n: points.length })}</p>
    <p>${sites.map((site) => html`<span class="site"><span aria-hidden="true" class="key" data-colour=${(site - 1) % COLOURS}>●</span> ${t('tile.site', { site: String(site) })}: ${num(Number(last(site).toPrecision(6)))}</span> `)}</p>
    ${points.length ? chart('trace', `${found.test} ${found.name} ${sites.join()}`, found, data, [...sites.map((site) => dots(site - 1)), ...limits.map(bound)], { whole: true }) : ''}`;
}

export function engineering() {
  const tabs = ['live', ...Object.keys(PARTS)];
  return html`<section tabindex="0" role="region" aria-label=${t('view.engineering')} class="scroll sheet trace">
    <div class="tabs" role="group" aria-label=${t('view.engineering')}>${tabs.map((one) => html`<button data-tab=${one} aria-pressed=${shown === one ? 'true' : 'false'} @click=${() => { shown = one; paint(); }}>${t(`engineer.${one}`)}</button>`)}</div>
    <div data-part=${shown === 'live' || typeof loaded[shown] === 'function' ? shown : ''}>${shown === 'live' ? live() : part(shown)}</div></section>`;
}
