// Golden units, led: put in, measured, and whether every site still measures right; the station keeps what came of it.
import { html, nothing } from './vendor/lit-html.js';
import { S, paint } from './model.js';
import { t, when } from './words.js';
import { looked } from './lookup.js';
import { short } from './charts.js';
import { next, step } from './study.js';

const NAME = 'golden', TRIALS = 5;
const lots = () => { const all = looked('lots', 3); return (Array.isArray(all) ? all : []).filter((one) => one.study?.name === NAME && !one.study.test).toSorted((a, b) => a.at - b.at || a.lot.localeCompare(b.lot)); };
const running = () => S.lot?.study?.name === NAME && !S.lot.study.test && !['CLOSED', 'EMPTY'].includes(S.sum.state);

function seen({ check }) {
  const late = check.seen.filter((one) => !one.passed).length;
  return html`<p class="entry ${check.passed ? 'ready' : 'alarm'}" data-golden=${check.passed ? 'good' : 'bad'}><b class="what">${check.passed ? `✓ ${t('golden.good')}` : `▲ ${t('golden.bad', { n: late })}`}</b><span>${check.units} · ${check.station} · ${when(new Date(check.at * 1000))}</span></p>
    <table data-table="golden"><thead><tr><th scope="col" class="name">${t('lot.test')}</th><th scope="col">${t('lot.site')}</th><th scope="col">${t('lot.contacts')}</th><th scope="col">${t('golden.shift')}</th><th scope="col">${t('golden.allowed')}</th><th scope="col">${t('golden.spread')}</th><th scope="col">${t('golden.allowed')}</th><th scope="col"></th></tr></thead>
    <tbody>${check.seen.toSorted((a, b) => a.passed - b.passed).map((one) => html`<tr class=${one.passed ? '' : 'failed'}><th scope="row" class="name">${one.test} ${one.name}</th><td>${one.site}</td><td>${one.contacts}</td><td>${short(one.shift, 4)}</td><td>${short(one.allowed.shift, 4)}</td><td>${short(one.spread, 4)}</td><td>${short(one.allowed.spread, 4)}</td><td>${one.passed ? '' : '◆'}</td></tr>`)}</tbody></table>`;
}

export function view() {
  const known = looked('golden', 3), mine = lots();
  if (!known) return html`<p role="status">${t('lots.wait')}</p>`;
  if (known.ok === false) return html`<p>${t('golden.none')}</p><p><code>${known.reason}</code></p>`;
  return html`<h2>${known.name}: ${known.units.join(', ')}</h2>${known.check ? seen(known) : nothing}${known.why ? html`<p class="what">◆ ${t('golden.never')}</p><p><code>${known.why}</code></p>` : nothing}
    ${running() ? html`<ul>${mine.slice(-1).map(step)}</ul><p>${t('study.under_way')}</p>` : next(NAME, mine.length + 1, { test: 0, parts: known.units.length, trials: TRIALS }, t('golden.put', { n: known.units.length, trials: TRIALS }))}`;
}
