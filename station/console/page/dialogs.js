// Dialogs stand over the information panel only: navigation, Pause and Abort stay where they are.
import { html, nothing } from './vendor/lit-html.js';
import { S, paint } from './model.js';
import { t, num } from './words.js';
import { send, objection } from './commands.js';
import { choice, input, reason, reasoned } from './fields.js';
import { staged } from './recipes.js';
import { how, says, traveller, unlike } from './traveller.js';
import { bySeveral, several, severally, who } from './several.js';

export function ask(kind, values = {}) {
  S.dialog = { kind, values: { ...values } };
  paint();
  requestAnimationFrame(() => document.querySelector('#dialog input, #dialog button')?.focus());
}
export const close = () => { S.dialog = null; paint(); };

const withVault = () => S.sum.sites.filter((one) => one.with_vault);
const LOT = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,30}$/;
const KINDS = {
  load: {
    body: (v) => html`${how(v)}${input('lot', 'text', v.lot, (x) => { v.lot = x; })}<div class="pair">${input('quantity', 'number', v.quantity, (x) => { v.quantity = x; })}${input('sublot', 'text', v.sublot, (x) => { v.sublot = x; })}</div>${staged().length ? choice(t('lot.recipe'), staged().map((one) => [one.recipe, one.title]), v.recipe, (one) => { v.recipe = v.recipe === one ? '' : one; }) : nothing}
      ${traveller(v)}`,
    fault: (v) => (!LOT.test(v.lot ?? '') ? t('dialog.fault.lot') : !(Number(v.quantity) >= 1 && Number(v.quantity) <= 1e7) ? t('dialog.fault.quantity') : unlike(v)),
    act: (v) => send('lot.load', { lot: v.lot, quantity: Number(v.quantity), sublot: v.sublot ?? '', recipe: v.recipe ?? '', ...says(v) }),
  },
  end: { body: () => html`<p>${t('dialog.end.text')}</p>`, fault: () => '', act: () => send('lot.end') },
  abort: { body: () => html`<p>${t('dialog.abort.text')}</p>${withVault().length ? html`<p class="caution" data-with-vault>◆ ${t('dialog.abort.now', { sites: withVault().map((one) => t('tile.site', { site: String(one.site) })).join(', ') })}</p>` : nothing}`, fault: () => '', act: () => send('lot.abort', { reason: t('reason.abort') }) },
  release: {
    body: (v) => html`<p>${S.sum.reason}</p><p>${t('dialog.release.text')}</p>${who()}${reason(v)}${several(v)}`,
    fault: (v) => reasoned(v) || severally(v),
    act: (v) => bySeveral('hold.release', v, { reason: v.reason.trim() }),
  },
};

KINDS.close = {
  body: (v) => html`<p>${S.sum.reason}</p><p>${t('dialog.close.text')}</p><dl class="counts">${Object.entries(S.sum.balance).map(([name, count]) => html`<dt>${t(`balance.${name}`)}</dt><dd>${num(count)}</dd>`)}</dl>${who('lot.close')}${reason(v)}${several(v, 'lot.close')}`,
  fault: (v) => reasoned(v) || severally(v, 'lot.close'), command: 'lot.close',
  act: (v) => bySeveral('lot.close', v, { reason: v.reason.trim() }),
};

export const kinds = (more) => Object.assign(KINDS, more);

export function dialog() {
  if (!S.dialog) return nothing;
  const { kind, values } = S.dialog, one = KINDS[kind], fault = (one.command && objection(one.command)) || one.fault(values);
  const go = () => { if (fault) return; close(); one.act(values); };
  return html`<div class="cover"><div class="dialog" role="dialog" aria-labelledby="dialog-title" data-dialog=${kind}>
    <h2 id="dialog-title">${one.title?.(values) ?? t(`dialog.${kind}.title`)}</h2><div class="body">${one.body(values)}</div>
    <div class="foot"><p class="fault" role="status">${fault}</p><button @click=${() => { close(); one.dismissed?.(values); }}>${t('dialog.cancel')}</button><button class="acts ${fault ? '' : 'ready'}" data-ok ?disabled=${!!fault} @click=${go}>${one.ok?.(values) ?? t(`dialog.${kind}.ok`)}</button></div></div></div>`;
}
