// Logging in: badge and PIN, or a security key.
import { html, nothing } from './vendor/lit-html.js';
import { paint } from './model.js';
import { t } from './words.js';
import { enter, leave } from './commands.js';
import { input } from './fields.js';
import { close } from './dialogs.js';
import { keys } from './keys.js';
import { enterByKey } from './security.js';

const pad = (v) => html`<div class="pad">${[1, 2, 3, 4, 5, 6, 7, 8, 9, '⌫', 0].map((key) => html`<button aria-label=${key === '⌫' ? t('dialog.back') : String(key)}
  @click=${() => { v.pin = key === '⌫' ? (v.pin ?? '').slice(0, -1) : `${v.pin ?? ''}${key}`; paint(); }}>${key}</button>`)}</div>`;

export const LOGIN = {
  login: {
    body: (v) => html`${input('badge', 'text', v.badge, (x) => { v.badge = x; }, { most: 128 })}${input('pin', 'password', v.pin, (x) => { v.pin = x; }, { most: 64 })}${pad(v)}${keys() ? html`<button class="acts" data-key @click=${() => { close(); enterByKey(); }}>${t('key.use')}</button>` : nothing}`,
    fault: (v) => (v.badge && v.pin ? '' : t('dialog.fault.login')),
    act: (v) => enter(v.badge, v.pin),
  },
  logout: { body: () => html`<p>${t('dialog.logout.text')}</p>`, fault: () => '', act: leave },
};
