// Commands that may take two persons: whom it takes now, and how the first one begins.
import { html, nothing } from './vendor/lit-html.js';
import { S, say } from './model.js';
import { t } from './words.js';
import { input } from './fields.js';
import { post, send } from './commands.js';
import { ask } from './dialogs.js';

const seats = (name) => (name === 'lot.close' ? S.sum.signs : S.sum.takes) ?? [];
const two = (name) => seats(name).length > 1;

export const pin = (v) => html`<div class="pair">${input('badge', 'text', v.badge, (x) => { v.badge = x; }, { most: 128 })}${input('pin', 'password', v.pin, (x) => { v.pin = x; }, { most: 64 })}</div>`;
export const who = (name) => (seats(name).length ? html`<p data-takes>${t(`cause.${S.sum.cause}`)} ${t(name === 'lot.close' ? 'takes.sign' : 'takes', { persons: seats(name).map((one) => one.map((role) => t(`role.${role}`)).join('/')).join(' + ') })}</p>` : nothing);
export const several = (v, name) => (two(name) && S.session.logs_in ? html`<p>${t('takes.first')}</p>${pin(v)}` : nothing);
export const severally = (v, name) => (!two(name) ? '' : !S.session.logs_in ? t('takes.accounts') : v.badge && v.pin ? '' : t('dialog.fault.login'));

export async function bySeveral(name, v, said) {
  return two(name) ? begun(name, v, S.lot?.lot ?? '', said) : send(name, said);
}
export async function begun(name, v, target, said) {
  const one = await post('acts', { do: name, name: target, said, badge: v.badge, pin: v.pin });
  if (!one.code) return ask('second', one);
  say('refused', t('said.refused', { command: t(`command.${name}`), code: t(`code.${one.code}`), reason: one.reason }));
}
