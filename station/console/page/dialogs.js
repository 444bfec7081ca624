// Dialogs stand over the information panel only: navigation, Pause and Abort stay where they are.
import { html, nothing } from './vendor/lit-html.js';
import { S, paint } from './model.js';
import { t } from './words.js';
import { send, enter, leave } from './commands.js';

export function ask(kind, values = {}) {
  S.dialog = { kind, values: { ...values } };
  paint();
  requestAnimationFrame(() => document.querySelector('#dialog input, #dialog button')?.focus());
}
export const close = () => { S.dialog = null; paint(); };

const LOT = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,30}$/;
const input = (id, kind, value, change, more = {}) => html`<label for=${id}><span>${t(`dialog.${id}`)}</span><input id=${id} type=${kind} .value=${value ?? ''} inputmode=${kind === 'number' ? 'numeric' : 'text'}
  autocomplete="off" spellcheck="false" maxlength=${more.most ?? 31} @input=${(e) => { change(e.target.value); paint(); }}></label>`;

const pad = (v) => html`<div class="pad">${[1, 2, 3, 4, 5, 6, 7, 8, 9, '⌫', 0].map((key) => html`<button aria-label=${key === '⌫' ? t('dialog.back') : String(key)}
  @click=${() => { v.pin = key === '⌫' ? (v.pin ?? '').slice(0, -1) : `${v.pin ?? ''}${key}`; paint(); }}>${key}</button>`)}</div>`;

const KINDS = {
  login: {
    body: (v) => html`${input('badge', 'text', v.badge, (x) => { v.badge = x; }, { most: 128 })}${input('pin', 'password', v.pin, (x) => { v.pin = x; }, { most: 64 })}${pad(v)}`,
    fault: (v) => (v.badge && v.pin ? '' : t('dialog.fault.login')),
    act: (v) => enter(v.badge, v.pin),
  },
  logout: { body: () => html`<p>${t('dialog.logout.text')}</p>`, fault: () => '', act: leave },
  load: {
    body: (v) => html`<p>${t('dialog.load.text')}</p>${input('lot', 'text', v.lot, (x) => { v.lot = x; })}${input('quantity', 'number', v.quantity, (x) => { v.quantity = x; })}${input('sublot', 'text', v.sublot, (x) => { v.sublot = x; })}
      <dl><dt>${t('strip.product')}</dt><dd>${S.engine?.product}</dd><dt>${t('strip.program')}</dt><dd>${S.engine?.sequence} <code>${S.engine?.fingerprint.slice(0, 8)}</code></dd></dl>
      ${v.device && v.device !== S.engine?.product ? html`<p class="caution">◆ ${t('dialog.load.device', { scanned: v.device, product: S.engine?.product })}</p>` : nothing}`,
    fault: (v) => (!LOT.test(v.lot ?? '') ? t('dialog.fault.lot') : !(Number(v.quantity) >= 1 && Number(v.quantity) <= 1e7) ? t('dialog.fault.quantity') : v.device && v.device !== S.engine?.product ? t('dialog.fault.device') : ''),
    act: (v) => send('lot.load', { lot: v.lot, quantity: Number(v.quantity), sublot: v.sublot ?? '' }),
  },
  end: { body: () => html`<p>${t('dialog.end.text')}</p>`, fault: () => '', act: () => send('lot.end') },
  abort: { body: () => html`<p>${t('dialog.abort.text')}</p>`, fault: () => '', act: () => send('lot.abort', { reason: t('reason.abort') }) },
  recover: {
    body: (v) => html`<p>${S.sum.reason}</p><p>${t('dialog.recover.text')}</p>${input('reason', 'text', v.reason, (x) => { v.reason = x; }, { most: 400 })}`,
    fault: (v) => ((v.reason ?? '').trim() ? '' : t('dialog.fault.reason')),
    act: (v) => send('cell.recover', { reason: v.reason.trim() }),
  },
  release: {
    body: (v) => html`<p>${S.sum.reason}</p><p>${t('dialog.release.text')}</p>${input('reason', 'text', v.reason, (x) => { v.reason = x; }, { most: 400 })}`,
    fault: (v) => ((v.reason ?? '').trim() ? '' : t('dialog.fault.reason')),
    act: (v) => send('hold.release', { reason: v.reason.trim() }),
  },
};

export function dialog() {
  if (!S.dialog) return nothing;
  const { kind, values } = S.dialog, one = KINDS[kind], fault = one.fault(values);
  const go = () => { if (fault) return; close(); one.act(values); };
  return html`<div class="cover"><div class="dialog" role="dialog" aria-labelledby="dialog-title" data-dialog=${kind}>
    <h2 id="dialog-title">${t(`dialog.${kind}.title`)}</h2><div class="body">${one.body(values)}</div>
    <p class="fault" role="status">${fault}</p>
    <div class="foot"><button @click=${close}>${t('dialog.cancel')}</button><button class="acts ${fault ? '' : 'ready'}" data-ok ?disabled=${!!fault} @click=${go}>${t(`dialog.${kind}.ok`)}</button></div></div></div>`;
}
