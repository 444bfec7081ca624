// All stations of a plant. Like the console: subscribe first, buffer, fetch the state, then go on with what is newer.
import { html, render, nothing } from './vendor/lit-html.js';
import { S, paint, painted, setting, set, hush } from './model.js';
import { loadWords, t, num, percent, when, LANGUAGES } from './words.js';
import { session } from './commands.js';
import { ask, dialog } from './dialogs.js';

const STALE_MS = 3000;
const F = window.floor = { cells: new Map(), ended: [], alarms: [], epoch: 0, seq: -1, only: 'every', frames: 0, resyncs: 0 };
const at = Object.fromEntries(['title', 'view', 'dialog', 'navigation'].map((id) => [id, document.getElementById(id)]));
let syncing = null, waiting = [], events = null;

// -- stream
function follow() {
  events?.close();
  events = new EventSource('api/v1/events');
  events.addEventListener('hello', () => { waiting = []; resync(); });
  events.onmessage = (message) => { const frame = JSON.parse(message.data); F.frames += 1; if (syncing) waiting.push(frame); else apply(frame); };
}
function apply(frame) {
  if (frame.gap || frame.epoch !== F.epoch || frame.since > F.seq) return void resync();
  heard(frame.there);
  if (frame.seq <= F.seq) return;
  F.seq = frame.seq;
  put(frame.cells ?? []);
  if (frame.ended) F.ended = frame.ended;
  if (frame.alarms) F.alarms = frame.alarms;
  paint();
}
const put = (cells) => { for (const cell of cells) F.cells.set(`${cell.plant}/${cell.station}`, cell); };
function heard(there) {
  S.heard = performance.now();
  if (S.link !== 'live' || S.there !== there) { S.link = 'live'; S.there = there; paint(); }
}
const resync = () => (syncing ??= fetched().catch(() => new Promise((again) => setTimeout(again, 500))).finally(() => {
  syncing = null;
  const frames = waiting;
  waiting = [];
  for (const frame of frames) if (syncing) waiting.push(frame); else apply(frame);
}));
async function fetched() {
  F.resyncs += 1;
  const answer = await fetch('api/v1/state');
  if (!answer.ok) return;
  const state = await answer.json();
  Object.assign(F, { epoch: state.epoch, seq: state.seq, ended: state.ended, alarms: state.alarms });
  F.cells.clear();
  put(state.cells);
  heard(state.there);
  paint();
}

// -- shown
const RUNNING = new Set(['CHECKING', 'RUNNING', 'ENDING', 'CLOSING', 'RECOVERING']), STOPPED = new Set(['HELD', 'ABORTING', 'ABORTED']);
const kind = (cell) => (!cell.online ? 'offline' : STOPPED.has(cell.state) ? 'stopped' : RUNNING.has(cell.state) ? 'running' : 'waiting');
const LOOK = { offline: ['away', '×'], stopped: ['alarm', '▲'], running: ['busy', ''], waiting: ['', ''] };
const time = (text) => when(new Date(text));

function card(cell) {
  const [look, mark] = LOOK[kind(cell)];
  const state = cell.online ? t(`state.${cell.state}`) : t('floor.offline');
  return html`<li class="cell ${look}" data-station=${cell.station} data-state=${cell.online ? cell.state : 'OFFLINE'}>
    <h2><span>${mark ? html`<span aria-hidden="true">${mark} </span>` : nothing}${cell.station}</span><small>${state}</small></h2>
    <p>${cell.lot || t('floor.no_lot')} <small>${cell.product}</small></p>
    <progress aria-label=${t('strip.done')} max=${cell.quantity || 1} value=${cell.quantity ? cell.tested : 0}></progress>
    <div class="count"><span>${num(cell.tested)} / ${num(cell.quantity)}</span><b>${percent(cell.good, cell.tested)}</b></div>
    <p><small>${cell.reason || t(cell.control === 'ONLINE-REMOTE' ? 'floor.remote' : 'floor.local')}${cell.off ? ` · ${t('floor.sites_off', { n: cell.off })}` : ''}</small></p>
    <p><small>${cell.since ? t('floor.since', { at: time(cell.since) }) : ''}</small></p></li>`;
}

function view() {
  if (S.session.asks) return html`<p>${t('floor.log_in')}</p>`;
  const all = [...F.cells.values()], found = all.filter((cell) => F.only === 'every' || kind(cell) === F.only);
  return html`<div class="row"><ul class="cells" tabindex="0" aria-label=${t('floor.stations', { n: all.length })}>${found.length ? found.map(card) : html`<li>${t(all.length ? 'floor.nothing' : 'floor.none')}</li>`}</ul>
    <div class="side"><section class="list" tabindex="0" role="region" aria-label=${t('floor.lots')}><h2>${t('floor.lots')}</h2>${F.ended.length ? lots() : html`<p>${t('floor.no_lots')}</p>`}</section>
    <section class="list" tabindex="0" role="region" aria-label=${t('floor.alarms')}><h2>${t('floor.alarms')}</h2>${F.alarms.length ? html`<ul>${F.alarms.map(alarm)}</ul>` : html`<p>${t('link.no_alarms')}</p>`}</section></div></div>`;
}
const lots = () => html`<table><thead><tr>${['station', 'lot', 'outcome', 'good', 'yield', 'ended'].map((id) => html`<th scope="col">${t(`floor.${id}`)}</th>`)}</tr></thead><tbody>${F.ended.map((lot) => html`<tr data-lot=${lot.lot}>
  <td class="name">${lot.station}</td><th scope="row" class="name">${lot.lot}</th><td>${lot.outcome}</td><td>${num(lot.good)} / ${num(lot.tested)}</td><td>${percent(lot.good, lot.tested)}</td><td>${time(lot.ended)}</td></tr>`)}</tbody></table>`;
const alarm = (one) => html`<li><b>${one.station}</b> ${one.lot} <time>${time(one.at)}</time><p>${one.reason}</p></li>`;

function message() {
  if (S.session.asks) return { kind: '', text: t('floor.log_in'), mark: '' };
  if (S.link !== 'live') return { kind: 'alarm', text: t(S.link === 'stale' ? 'floor.stale' : 'link.connecting'), mark: '▲' };
  if (!S.there) return { kind: 'alarm', text: t('floor.away'), mark: '▲' };
  if (S.said) return { kind: 'caution', text: S.said.text, mark: '◆' };
  const stopped = [...F.cells.values()].find((cell) => kind(cell) === 'stopped');
  return stopped ? { kind: 'alarm', text: `${stopped.station}: ${t(`state.${stopped.state}`)} — ${stopped.reason}`, mark: '▲' } : { kind: '', text: t('floor.stations', { n: F.cells.size }), mark: '' };
}
function title() {
  const said = message(), who = S.session.person, on = S.link === 'live';
  return html`<div class="host"><span><span class="dot ${on ? 'on' : 'off'}" aria-hidden="true">${on ? '' : '×'}</span>${t(on ? 'title.online' : 'title.offline')}</span></div>
    <div class="clock"><time>${when(new Date())}</time><h1>${t('floor.title')}</h1></div>
    <div class="message ${said.kind}" role="status"><span class="mark" aria-hidden="true">${said.mark}</span><span>${said.text}</span></div>
    ${S.session.logs_in ? html`<button class="person" @click=${() => ask(who ? 'logout' : 'login')}><small>${t(who ? 'title.online' : 'title.nobody')}</small><b>${who ? who.name : t('title.login')}</b></button>` : nothing}`;
}

// -- what is looked at, and how
const count = (only) => [...F.cells.values()].filter((cell) => kind(cell) === only).length;
const filter = (only) => html`<button data-only=${only} aria-pressed=${F.only === only ? 'true' : 'false'} @click=${() => { F.only = only; paint(); }}>${t(`floor.${only}`)} <b>${num(only === 'every' ? F.cells.size : count(only))}</b></button>`;
const next = (name, values, first) => () => { set(name, values[(values.indexOf(setting(name, first)) + 1) % values.length]); look(); };
async function look() {
  document.documentElement.dataset.theme = setting('theme', 'light');
  await loadWords();
  paint();
}
const navigation = () => html`${['every', 'running', 'waiting', 'stopped', 'offline'].map(filter)}<span class="gap"></span>
  <button data-set="lang" @click=${next('lang', Object.keys(LANGUAGES), 'en')}>${LANGUAGES[setting('lang', 'en')] ?? 'English'}</button>
  <button data-set="theme" @click=${next('theme', ['light', 'dark'], 'light')}>${t(`settings.${setting('theme', 'light')}`)}</button>`;

function draw() {
  document.body.classList.toggle('old', !(S.link === 'live' && S.there) && !S.session.asks);
  at.view.inert = !!S.dialog;
  render(title(), at.title);
  render(view(), at.view);
  render(dialog(), at.dialog);
  render(navigation(), at.navigation);
}

// Whoever must log in first follows the stream from then on.
let asked = true;
await Promise.all([loadWords(), session()]);
painted(() => { draw(); if (S.session.asks !== asked) { asked = S.session.asks; if (asked) events?.close(); else follow(); } });
document.documentElement.dataset.theme = setting('theme', 'light');
paint();
setInterval(() => { if (performance.now() - S.heard > STALE_MS && S.link !== 'stale') S.link = 'stale'; hush(); paint(); }, 1000);
let touched = false;
document.addEventListener('pointerdown', () => { touched = true; }, true);
setInterval(() => { if (S.session.person && S.session.logs_in) { session(touched).catch(() => {}); touched = false; } }, 15000);
