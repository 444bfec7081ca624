// What dialogs are made of: a labelled input, a row of choices.
import { html } from './vendor/lit-html.js';
import { paint } from './model.js';
import { t } from './words.js';

export const input = (id, kind, value, change, more = {}) => html`<label for=${id}><span>${t(`dialog.${id}`)}</span><input id=${id} type=${kind} .value=${value ?? ''} inputmode=${kind === 'number' ? 'numeric' : 'text'}
  autocomplete="off" spellcheck="false" maxlength=${more.most ?? 31} @input=${(e) => { change(e.target.value); paint(); }}></label>`;

export const reason = (v) => input('reason', 'text', v.reason, (x) => { v.reason = x; }, { most: 400 });
export const reasoned = (v) => ((v.reason ?? '').trim() ? '' : t('dialog.fault.reason'));

// One of several, or any number of them: `values` is what is chosen, as one value or as a Set.
export function choice(label, options, chosen, pick) {
  const on = (value) => (chosen instanceof Set ? chosen.has(value) : chosen === value);
  return html`<div class="choice" role="group" aria-label=${label}><span>${label}</span><div>${options.map(([value, name]) => html`<button aria-pressed=${on(value) ? 'true' : 'false'} data-choice=${value}
    @click=${() => { if (chosen instanceof Set) { if (!chosen.delete(value)) chosen.add(value); } else pick(value); paint(); }}>${name}</button>`)}</div></div>`;
}
