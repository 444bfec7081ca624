// The view of one lot as a sheet: header, results, sites, bins, tests, alarms, datalog; printed as it is.
import { html, nothing } from './vendor/lit-html.js';
import { S } from './model.js';
import { t, num, percent, when } from './words.js';
import { looked } from './lookup.js';

const cell = (value) => html`<td>${value}</td>`;
const WORDS = ['name', 'alarm', 'why'];
const heads = (...ids) => html`<thead><tr>${ids.map((id) => html`<th scope="col" class=${WORDS.includes(id) ? 'name' : ''}>${t(`lot.${id}`)}</th>`)}</tr></thead>`;
const table = (id, head, rows) => (rows.length ? html`<h2>${t(`lot.${id}`)}</h2><table data-table=${id}>${head}<tbody>${rows}</tbody></table>` : nothing);
const date = (at) => when(new Date(at * 1000));

function header(found) {
  const { info } = found, field = (id, value) => (value ? html`<dt>${t(`lot.${id}`)}</dt><dd>${value}</dd>` : nothing);
  return html`<dl class="header">${field('lot', info.sublot ? `${info.lot}/${info.sublot}` : info.lot)}${field('outcome', t(found.outcome ? `lot.${found.outcome}` : 'lot.open'))}${field('station', `${info.plant} ${info.station}`)}
    ${field('product', info.product)}${field('flow', info.flow)}${field('program', `${info.sequence} ${info.sequence_version}`)}${field('fingerprint', html`<code>${info.fingerprint.slice(0, 16)}</code>`)}${field('recipe', info.limit_set)}
    ${field('began', date(info.set_up))}${field('ended', found.ended && date(found.ended))}${field('datalog', found.datalog)}${field('sha256', found.sha256 && html`<code>${found.sha256}</code>`)}</dl>`;
}

function sheet(found) {
  const { counts } = found, hard = Object.entries(found.hard), figure = (id, value) => html`<div><small>${t(`lot.${id}`)}</small><b data-figure=${id}>${value}</b></div>`;
  return html`${header(found)}<div class="figures">${figure('quantity', num(found.info.quantity))}${figure('tested', num(counts.parts))}${figure('good', num(counts.good))}${figure('first', percent(counts.first_good, counts.parts))}${figure('final', percent(counts.good, counts.parts))}${figure('retested', num(counts.retested))}${figure('not_judged', num(counts.not_judged))}</div>
    ${table('sites', heads('site', 'tested', 'good', 'yield', 'contacts'), counts.sites.map((one) => html`<tr><th scope="row">${one.site}</th>${cell(num(one.parts))}${cell(num(one.good))}${cell(percent(one.good, one.parts))}${cell(num(one.contacts))}</tr>`))}
    ${table('soft', heads('bin', 'name', 'hard_bin', 'devices', 'share'), counts.bins.filter((one) => one.count).map((one) => html`<tr><th scope="row">${one.number}</th><td class="name">${one.name}</td>${cell(one.hard)}${cell(num(one.count))}${cell(percent(one.count, counts.parts))}</tr>`))}
    ${table('hard', heads('bin', 'devices', 'share'), hard.map(([number, count]) => html`<tr><th scope="row">${number}</th>${cell(num(count))}${cell(percent(count, counts.parts))}</tr>`))}
    ${table('tests', heads('site', 'test', 'name', 'results', 'failed'), found.tests.map((one) => html`<tr><th scope="row">${one.site}</th>${cell(one.number)}<td class="name">${one.name}</td>${cell(num(one.executed))}${cell(num(one.failed))}</tr>`))}
    ${table('alarms', heads('at', 'alarm', 'why'), S.alarms.map((one) => html`<tr><th scope="row">${date(one.at)}</th><td class="name">${t(`alarm.${one.code}`, { n: one.site })}</td><td class="name">${one.reason}</td></tr>`))}
    ${found.notes.length ? html`<h2>${t('lot.notes')}</h2><ul>${found.notes.map((note) => html`<li>${note}</li>`)}</ul>` : nothing}`;
}

const BORDER = (one) => (one.touchdowns >= one.limit ? 'alarm' : one.touchdowns >= one.warning ? 'caution' : '');
const MARK = { alarm: '▲ ', caution: '◆ ', '': '' };
function counters() {
  const all = S.sum.assets ?? [];
  return all.length ? html`<h2>${t('asset.title')}</h2><table data-table="assets"><thead><tr><th scope="col" class="name">${t('lot.name')}</th><th scope="col" class="name">${t('asset.kind')}</th><th scope="col">${t('asset.touchdowns')}</th><th scope="col">${t('asset.warning')}</th><th scope="col">${t('asset.limit')}</th><th scope="col" class="name">${t('asset.left')}</th></tr></thead>
    <tbody>${all.map((one) => html`<tr data-asset=${one.name}><th scope="row" class="name">${MARK[BORDER(one)]}${one.name}</th><td class="name">${t(`asset.${one.kind}`)}</td>${cell(num(one.touchdowns))}${cell(num(one.warning))}${cell(num(one.limit))}<td class="name"><progress max=${one.limit} .value=${Math.min(one.touchdowns, one.limit)} aria-label=${t('asset.left')}></progress></td></tr>`)}</tbody></table>` : nothing;
}

export function lot() {
  const found = S.lot && looked('lot/summary');
  return html`<section tabindex="0" role="region" aria-label=${t('view.lot')} class="scroll sheet">
    ${S.lot ? html`<h2>${t('lot.balance')}</h2><div class="figures">${Object.entries(S.sum.balance).map(([name, count]) => html`<div><small>${t(`balance.${name}`)}</small><b>${num(count)}</b></div>`)}</div>` : html`<p>${t('jobs.no_lot')}</p>`}
    ${counters()}${found?.info ? sheet(found) : found ? html`<p>${t('lot.nothing')}</p>` : nothing}</section>`;
}
