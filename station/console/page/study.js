// A gauge study on the cell, led step by step: who puts the devices in, which device is tested and how often it was, what it came to.
import { html, nothing } from './vendor/lit-html.js';
import { S, paint, say, live } from './model.js';
import { t, num } from './words.js';
import { looked, forget } from './lookup.js';
import { input } from './fields.js';
import { send, objection } from './commands.js';
import { told } from './lots.js';
import { chart, dots, short } from './charts.js';

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,23}$/, WHO = /^[ -~]{1,30}$/, PATIENCE_MS = 30000;
const form = { study: '', test: '', parts: '10', trials: '3', who: '' };
let open = '', wait = false;

// -- which studies there are
const lots = () => { const all = looked('lots', 3); return (Array.isArray(all) ? all : []).filter((one) => one.study?.name && one.study.test); };
const studies = (all) => [...new Set(all.map((one) => one.study.name))];
const of = (all) => all.filter((one) => one.study.name === open).toSorted((a, b) => a.at - b.at || a.lot.localeCompare(b.lot));
const running = () => (S.lot?.study && S.lot.study.name === open && !['CLOSED', 'EMPTY'].includes(S.sum.state) ? S.lot : null);
const parametric = () => (S.engine?.rows ?? []).filter((one) => one.kind === 'P');
const between = (value, low, high) => /^\d+$/.test(value) && Number(value) >= low && Number(value) <= high;

// -- a new one
function fault(all) {
  if (!NAME.test(form.study)) return t('study.fault.name');
  if (studies(all).includes(form.study)) return t('study.fault.taken');
  if (!form.test) return t('trace.how');
  if (!between(form.parts, 2, 1000) || !between(form.trials, 2, 50)) return t('study.fault.size');
  return '';
}

function begin(all) {
  const wrong = fault(all);
  return html`<h2>${t('study.new')}</h2><p>${t('study.how')}</p><div class="search form">
    ${input('study', 'text', form.study, (x) => { form.study = x; }, { most: 24 })}
    <label for="study-test"><span>${t('dialog.test')}</span><select id="study-test" @change=${(e) => { form.test = e.target.value; paint(); }}><option value=""></option>${parametric().map((one) => html`<option value=${one.number} ?selected=${String(one.number) === form.test}>${one.number} ${one.name}</option>`)}</select></label>
    ${input('parts', 'number', form.parts, (x) => { form.parts = x; })}${input('trials', 'number', form.trials, (x) => { form.trials = x; })}
    <p class="fault" role="status">${wrong}</p><button data-study-begin ?disabled=${!!wrong} @click=${() => { open = form.study; form.who = ''; paint(); }}>${t('study.begin')}</button></div>`;
}

// -- its steps
const plan = (done) => (done.length ? { test: done[0].study.test, parts: done[0].devices, trials: done[0].study.trials } : { test: Number(form.test), parts: Number(form.parts), trials: Number(form.trials) });

export function step(one) {
  const here = S.lot?.lot === one.lot && !['CLOSED', 'EMPTY'].includes(S.sum.state);
  return html`<li data-step=${one.lot} class="entry ${here ? 'busy' : ''}"><div class="head"><b>${one.study.operator}</b><span>${one.lot}</span><span>${here ? t(`state.${S.sum.state}`) : one.ended ? `✓ ${t('study.done')}` : `◆ ${t('lot.open')}`}</span></div>
    ${here ? html`${S.sum.sites.filter((tile) => tile.contact || tile.waits || tile.part).map((tile) => html`<p class="what" data-trial=${tile.site}>${t('study.trial', { site: String(tile.site), part: String(tile.part), parts: one.devices, trial: String(tile.trial), trials: one.study.trials })}</p>`)}
      <progress max=${one.devices * one.study.trials} .value=${S.sum.tested + S.sum.retested} aria-label=${t('strip.done')}></progress>` : nothing}</li>`;
}

// The lot is loaded and, as soon as the cell would take that, started.
async function put(study, number, { test, parts, trials }) {
  const lot = `${study}.${number}`;
  wait = true;
  const receipt = await send('study.load', { lot, quantity: parts, study, test, trials, operator: form.who.trim() });
  const until = performance.now() + PATIENCE_MS;
  while (receipt?.ok && performance.now() < until && !(S.lot?.lot === lot && S.sum.legal.includes('lot.start'))) await new Promise((again) => setTimeout(again, 100));
  if (receipt?.ok) { await send('lot.start'); form.who = ''; }
  wait = false;
  forget('lots');
}

export function next(study, number, wanted, text) {
  const why = wait ? t('why.busy') : objection('study.load') || (WHO.test(form.who.trim()) ? '' : t('study.fault.who'));
  return html`<p class="what">${text}</p><div class="search form">${input('who', 'text', form.who, (x) => { form.who = x; }, { most: 30 })}<p class="fault" role="status">${why}</p>
    <button data-study-in class="acts" aria-disabled=${why ? 'true' : 'false'} @click=${() => (why ? say('info', why) : put(study, number, wanted))}>${t('study.in')}</button></div>`;
}

function another(done) {
  const wanted = plan(done);
  return html`<h2>${t(done.length ? 'study.next' : 'study.first')}</h2>${next(open, done.length + 1, wanted, t('study.put', { n: wanted.parts, trials: wanted.trials }))}`;
}

// -- what it came to
const BORDER = { good: 'ready', marginal: 'caution', bad: 'alarm' }, MARK = { good: '✓', marginal: '◆', bad: '▲' };
const PARTS = ['repeatability', 'reproducibility', 'interaction', 'grr', 'part', 'total'];
const methods = (found) => [found.anova, found.range];

function result(done) {
  const path = `${done.map((one) => `lot=${encodeURIComponent(one.lot)}`).join('&')}&test=${done[0].study.test}`;
  return told(`lots/gauge?${path}`, (found) => html`<h2>${found.number} ${found.name}</h2><p class="entry ${BORDER[found.verdict]}" data-verdict=${found.verdict}><b class="what">${MARK[found.verdict]} ${t(`study.${found.verdict}`)}</b><span>GR&R ${found.anova.grr.percent.toFixed(1)} % · ndc ${num(found.anova.categories)}</span></p>
    <table data-table="gauge"><thead><tr><th scope="col" class="name">${t('study.source')}</th>${['anova', 'range'].map((one) => html`<th scope="col">${t(`study.${one}`)} σ [${found.unit}]</th><th scope="col">% ${t('study.total')}</th><th scope="col">% ${t('study.tolerance')}</th>`)}</tr></thead>
    <tbody>${PARTS.map((id) => html`<tr><th scope="row" class="name">${t(`study.${id}`)}</th>${methods(found).map((one) => html`<td>${short(one[id].sigma, 4)}</td><td>${one[id].percent.toFixed(1)}</td><td>${one[id].percent_tolerance === null ? '–' : one[id].percent_tolerance.toFixed(1)}</td>`)}</tr>`)}</tbody></table>
    <h3>${t('study.values')}</h3><p>${done.map((one, n) => html`<span class="site"><span aria-hidden="true" class="key" data-colour=${n % 8}>●</span> ${one.study.operator}</span>`)}</p>${values(found, done)}
    <p><a class="button" download="${open}.csv" href="api/v1/lots/gauge.csv?${path}">${t('study.table')}</a></p>`);
}

// By device, the operators beside each other.
function values(found, done) {
  const xs = [], of = done.map(() => []);
  found.values.forEach((operators, part) => operators.forEach((trials, operator) => trials.forEach((value) => {
    xs.push(part + 1 + (operator - (done.length - 1) / 2) * 0.12);
    done.forEach((_, n) => of[n].push(n === operator ? value : null));
  })));
  return chart('gauge', `${t('study.values')} ${open}`, found, [xs, ...of], done.map((_, n) => dots(n, 7)), { low: true, whole: true });
}

function guide(all) {
  const mine = of(all), ended = mine.filter((one) => one.ended), now = running();
  return html`<h2>${open}</h2>${mine.length ? html`<ul>${mine.map(step)}</ul>` : nothing}
    ${ended.length > 1 ? result(ended) : html`<p>${t('study.more')}</p>`}
    ${now ? (S.sum.state === 'LOADED' ? html`<p class="what">${t('study.start')}</p>` : html`<p>${t('study.under_way')}</p>`) : another(mine)}`;
}

export function view() {
  const all = lots();
  if (live() && S.lot?.study?.name && S.lot.study.test && S.sum.state !== 'CLOSED' && !open) open = S.lot.study.name;
  return html`<div class="tabs" role="group" aria-label=${t('engineer.study')}><button data-study="" aria-pressed=${open ? 'false' : 'true'} @click=${() => { open = ''; paint(); }}>${t('study.new')}</button>${studies(all).map((name) => html`<button data-study=${name} aria-pressed=${open === name ? 'true' : 'false'} @click=${() => { open = name; paint(); }}>${name}</button>`)}</div>
    ${open ? guide(all) : begin(all)}`;
}
