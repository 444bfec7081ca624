// Stored lots: which ones are looked at, what is asked of them, and the answers that are tables.
import { html, svg, nothing } from './vendor/lit-html.js';
import { S, paint } from './model.js';
import { t, num, when } from './words.js';
import { looked, forget } from './lookup.js';
import { short } from './charts.js';
import { closeup, scatter } from './closeup.js';
import { wafers } from './wafers.js';
import { plot } from './step.js';

const KEPT_S = 3600;
export const L = { lots: [], asked: 'test', test: '', group: '' };
let report = '';
const ASKS = { test: oneTest, where, groups, pairs, wafers: ofWafers, worth, sweeps, report: whole };

// -- which lots
const kept = () => { const all = looked('lots', 30); return Array.isArray(all) ? all : []; };
const chosen = () => L.lots.map((name) => `lot=${encodeURIComponent(name)}`).join('&');
const known = () => kept().find((one) => one.lot === L.lots[0]);
const add = (name) => { if (name && !L.lots.includes(name)) L.lots.push(name); paint(); };
const drop = (name) => { L.lots = L.lots.filter((one) => one !== name); paint(); };

function choose(all) {
  if (!L.lots.length && all.length && L.first === undefined) { L.first = true; L.lots.push((all.find((one) => one.lot === S.lot?.lot) ?? all[0]).lot); }
  const rest = all.filter((one) => !L.lots.includes(one.lot));
  return html`<div class="tabs" role="group" aria-label=${t('lots.chosen')}>${L.lots.map((name) => html`<button data-lot=${name} aria-label=${t('lots.drop', { lot: name })} @click=${() => drop(name)}>${name} <span aria-hidden="true">×</span></button>`)}
    <label for="lots"><span>${t('lots.add')}</span><select id="lots" @change=${(e) => { add(e.target.value); e.target.value = ''; }}><option value=""></option>${rest.map((one) => html`<option value=${one.lot}>${one.lot} · ${one.product} · ${one.flow} · ${when(new Date(one.at * 1000))}</option>`)}</select></label></div>`;
}

// -- asking: an answer, or why there is none
export function told(path, show) {
  const found = looked(path, KEPT_S);
  if (!found) return html`<p role="status">${t('lots.wait')}</p>`;
  return found.ok === false ? html`<p role="status" class="what">◆ ${found.reason}</p>` : show(found);
}

const select = (id, label, value, options, change) => html`<label for=${id}><span>${label}</span><select id=${id} @change=${(e) => { change(e.target.value); paint(); }}><option value=""></option>${options.map(([one, name]) => html`<option value=${one} ?selected=${String(one) === value}>${name}</option>`)}</select></label>`;
const pickTest = () => html`<div class="tabs">${select('lot-test', t('dialog.test'), L.test, (known()?.tests ?? []).map((one) => [one.number, `${one.number} ${one.name}`]), (value) => { L.test = value; })}</div>`;

function oneTest() {
  const path = `lots/test?lot=${encodeURIComponent(L.lots[0])}&test=${L.test}&group=${L.group}`;
  return html`${pickTest()}${L.test ? told(path, (found) => closeup(found, L, paint)) : html`<p>${t('trace.how')}</p>`}`;
}

// -- tables
const heads = (...names) => html`<thead><tr>${names.map((name, n) => html`<th scope="col" class=${n === 0 ? 'name' : ''}>${name}</th>`)}</tr></thead>`;
const row = (one, cells, bad = false) => html`<tr class=${bad ? 'failed' : ''}><th scope="row" class="name">${one.number} ${one.name}</th>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>`;
const p = (value) => (value < 0.0001 ? '< 0.0001' : value.toFixed(4));

export function bars(id, all) {
  const most = Math.max(1, ...all.map((one) => one.count));
  return all.length ? html`<h2>${t(id)}</h2><div class="pareto-wide" data-bars=${id}>${all.slice(0, 20).map((one) => html`<div class="bar"><span class="name">${one.name}</span><svg viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">${svg`<rect class="fill" width=${(100 * one.count) / most} height="4"/>`}</svg><span>${num(Number(one.count.toPrecision(6)))}</span><span>${(100 * one.share).toFixed(1)} %</span><span>Σ ${(100 * one.cumulated).toFixed(1)} %</span></div>`)}</div>` : nothing;
}

function where() {
  return told(`lots/findings?lot=${encodeURIComponent(L.lots[0])}`, (found) => html`
    <div class="figures">${[['lot.final', share(found.final)], ['lot.first', share(found.first)], ['where.recovered', num(found.recovered)], ['lot.contacts', num(found.contacts)], ['where.contact', `${(found.time.mean / 1000).toFixed(3)} s`], ['where.good', `${(found.time.good_mean / 1000).toFixed(3)} s`]].map(([id, value]) => html`<div><small>${t(id)}</small><b>${value}</b></div>`)}</div>
    ${bars('where.bins', found.bins)}${bars('where.tests', found.failing)}${bars('where.time', found.time.by_bin)}${found.time.timed ? bars('where.each', found.time.by_test) : nothing}
    <h2>${t('lot.sites')}</h2><table data-table="sites">${heads(t('lot.site'), t('lot.tested'), t('lot.good'), t('lot.yield'), '95 %', t('where.contact'))}<tbody>${found.sites.map((one) => html`<tr><th scope="row" class="name">${one.site}</th><td>${num(one.parts.of)}</td><td>${num(one.parts.count)}</td><td>${share(one.parts)}</td><td>${(100 * one.parts.low).toFixed(2)} … ${(100 * one.parts.high).toFixed(2)} %</td><td>${(one.mean_ms / 1000).toFixed(3)} s</td></tr>`)}</tbody></table>`);
}
const share = (one) => `${(100 * one.value).toFixed(2)} %`;

function groups() {
  const sites = L.lots.length === 1;
  return told(`lots/groups?${chosen()}`, (found) => html`<p>${t(sites ? 'groups.sites' : 'groups.lots')}</p><table data-table="groups">${heads(t('lot.test'), 'p', t('groups.apart'), '', ...found.names.map((name) => (sites ? t('tile.site', { site: name }) : name)))}<tbody>
    ${found.tests.toSorted((a, b) => b.differ - a.differ || b.apart - a.apart).map((one) => row(one, [p(one.found.p), `${one.apart.toFixed(2)} σ`, one.differ ? `◆ ${t('groups.differ')}` : '', ...one.found.means.map((mean) => short(mean))], one.differ))}</tbody></table>`);
}

function pairs() {
  if (L.lots.length < 2) return html`<p>${t('pairs.two')}</p>`;
  return html`<p>${t('pairs.how', { first: L.lots[0], second: L.lots[1] })}</p>${pickTest()}${L.test ? told(`lots/scatter?${chosen()}&test=${L.test}`, (found) => scatter(found, L.lots)) : nothing}
    ${told(`lots/pairs?${chosen()}`, (found) => html`<table data-table="pairs">${heads(t('lot.test'), t('lot.devices'), 'r', t('pairs.slope'), t('pairs.offset'), '95 %')}<tbody>${found.map((one) => row(one, [num(one.found.count), one.found.r.toFixed(4), one.found.slope.toFixed(4), `${short(one.found.offset)} ${one.unit}`, `${short(one.found.offset_low, 3)} … ${short(one.found.offset_high, 3)}`]))}</tbody></table>`)}`;
}

function worth() {
  return told(`lots/reduction?${chosen()}`, (found) => html`<p>${t('worth.how')}</p>
    <div class="figures">${[['lot.devices', num(found.parts)], ['where.good', `${(found.good_ms / 1000).toFixed(3)} s`], ['where.bad', `${(found.bad_ms / 1000).toFixed(3)} s`]].map(([id, value]) => html`<div><small>${t(id)}</small><b>${value}</b></div>`)}</div>
    <table data-table="worth">${heads(t('lot.test'), t('lot.failed'), t('worth.only'), t('worth.escapes'), 'Cpk', t('worth.twin'), 'r', t('worth.ms'))}<tbody>${found.tests.map((one) => row(one, [num(one.failed), num(one.only_failed), `< ${num(Math.ceil(one.escapes_ppm))} ppm`, one.cpk === null ? '–' : one.cpk.toFixed(2), one.twin || '–', one.twin ? one.r.toFixed(3) : '–', one.ms === null ? '–' : short(one.ms, 3)]))}</tbody></table>`);
}

function sweeps() {
  return told(`lots/sweeps?lot=${encodeURIComponent(L.lots[0])}`, (found) => (found.length ? html`<ul>${found.map((one, n) => html`<li class="entry" data-past=${n + 1}><div class="head"><b>${when(new Date(one.at * 1000))}</b><span>${t('map.device', { part: String(one.part) })}</span><span>${one.actor}</span></div>${plot(one.sweep, one.points, `${L.lots[0]} ${n}`)}</li>`)}</ul>` : html`<p>${t('sweeps.none')}</p>`));
}

function ofWafers() {
  const sorted = L.lots.every((name) => kept().find((one) => one.lot === name)?.sorted);
  return sorted ? wafers(told, chosen()) : html`<p>${t('wafers.none')}</p>`;
}

// -- the lot that runs, whole
function whole() {
  if (!S.lot) return html`<p>${t('jobs.no_lot')}</p>`;
  const show = () => { report = `/api/v1/lot/report?at=${Date.now()}`; paint(); };
  return html`<p>${t('report.how')}</p><div class="search"><button data-report @click=${show}>${t('report.show')}</button></div>
    ${report ? html`<iframe class="report" title=${t('report.title')} src=${report}></iframe>` : nothing}`;
}

export function view() {
  const all = kept();
  if (!all.length) return html`<p role="status">${t('lots.none')}</p>`;
  return html`${choose(all)}<div class="tabs" role="group" aria-label=${t('lots.ask')}>${Object.keys(ASKS).map((one) => html`<button data-ask=${one} aria-pressed=${L.asked === one ? 'true' : 'false'} @click=${() => { L.asked = one; paint(); }}>${t(`ask.${one}`)}</button>`)}<button class="tool" data-again aria-label=${t('lots.again')} title=${t('lots.again')} @click=${() => forget('lots/')}>⟲</button></div>
    ${L.lots.length || L.asked === 'report' ? ASKS[L.asked]() : html`<p>${t('lots.choose')}</p>`}`;
}
