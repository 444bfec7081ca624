// Dialogs of commands in mid-lot: sites, cleaning, a second pass, alarms, reasons, what was found in a stopped cell.
import { html, nothing } from './vendor/lit-html.js';
import { S, bin } from './model.js';
import { t, num, percent, because } from './words.js';
import { choice, reason, reasoned } from './fields.js';
import { send } from './commands.js';
import { bySeveral, several, severally, who } from './several.js';

const PLACES = ['socket', 'sorted', 'error bin', 'missing'];
const tile = (site) => S.sum.sites.find((one) => one.site === site);
const row = (id, value) => html`<dt>${t(id)}</dt><dd>${value}</dd>`;

function site(v) {
  const one = tile(v.site), last = one && bin(one.bin);
  return html`<dl>${row('lot.tested', num(one?.tested ?? 0))}${row('lot.yield', percent(one?.good ?? 0, one?.tested ?? 0))}${row('site.last', last ? `${last.number} ${last.name}` : '–')}
    ${row('site.failing', num(one?.failing ?? 0))}${one?.why ? row('site.why', one.why) : nothing}</dl>${reason(v)}`;
}

function recover(v) {
  v.found ??= {}; v.cleared ??= new Set();
  const waits = S.sum.sites.filter((one) => one.waits), off = S.sum.sites.filter((one) => one.use === 'off');
  return html`<p>${S.sum.reason}</p><p>${t('dialog.recover.text')}</p>
    ${waits.map((one) => choice(t('recover.found', { site: String(one.site) }), PLACES.map((place) => [place, t(`recover.${place}`)]), v.found[one.site], (place) => { v.found[one.site] = v.found[one.site] === place ? undefined : place; }))}
    ${off.length ? choice(t('recover.cleared'), off.map((one) => [one.site, t('tile.site', { site: String(one.site) })]), v.cleared) : nothing}${who()}${reason(v)}${several(v)}`;
}

function retest(v) {
  v.bins ??= new Set(); v.sites ??= new Set(); v.area ??= '';
  const bins = S.lot?.bins.filter((one) => one.kind !== 'pass' && S.sum.bins[one.number]) ?? [];
  return html`<p>${t('dialog.retest.text')}</p>
    ${bins.length ? choice(t('map.only'), bins.map((one) => [one.number, `${one.number} ${one.name}`]), v.bins) : nothing}
    ${choice(t('lot.sites'), S.sum.sites.map((one) => [one.site, String(one.site)]), v.sites)}
    ${choice(t('retest.area'), ['', 'edge', 'centre'].map((area) => [area, t(`retest.${area || 'all'}`)]), v.area, (area) => { v.area = area; })}${reason(v)}`;
}

export const ASKS = {
  site: {
    body: site, fault: reasoned,
    ok: (v) => t(tile(v.site)?.use === 'off' ? 'dialog.site.on' : 'dialog.site.ok'), title: (v) => t('tile.site', { site: String(v.site) }),
    command: 'site.set',
    act: (v) => send('site.set', { site: v.site, on: tile(v.site)?.use === 'off', reason: v.reason.trim() }),
  },
  clean: { body: () => html`<p>${t('dialog.clean.text')}</p>`, fault: () => '', command: 'probe.clean', act: () => send('probe.clean') },
  retest: {
    body: retest, fault: reasoned, command: 'retest.start',
    act: (v) => send('retest.start', { bins: [...v.bins], sites: [...v.sites], area: v.area, reason: v.reason.trim() }),
  },
  shelve: {
    body: (v) => html`<p>${t('dialog.shelve.text')}</p>${choice(t('shelve.for'), [15, 60, 240, 480].map((n) => [n, t('shelve.minutes', { n })]), v.minutes ??= 15, (n) => { v.minutes = n; })}${reason(v)}`,
    fault: reasoned, command: 'alarm.shelve',
    act: (v) => send('alarm.shelve', { alarm: v.alarm, minutes: v.minutes, reason: v.reason.trim() }),
  },
  e10: {
    body: (v) => html`<p>${t('dialog.e10.text', { state: `${S.sum.e10} ${t(`e10.${S.sum.e10}`)}` })} <b>${because(S.sum.e10_reason)}</b></p>${S.sum.e10 === 'SBY' ? choice(t('e10.move'), ['', 'SDT', 'ENG'].map((one) => [one, one ? t(`e10.${one}`) : t('e10.stays')]), v.state ??= '', (one) => { v.state = one; }) : nothing}${reason(v)}`,
    fault: reasoned, command: 'e10.set',
    act: (v) => send('e10.set', { state: v.state ?? '', reason: v.reason.trim() }),
  },
  recover: {
    body: recover, fault: (v) => reasoned(v) || severally(v), command: 'cell.recover',
    act: (v) => bySeveral('cell.recover', v, { reason: v.reason.trim(), found: Object.fromEntries(Object.entries(v.found).filter(([, place]) => place)), cleared: [...v.cleared] }),
  },
};
