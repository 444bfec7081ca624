// Words by id, with plurals, in the operator's language; what a language lacks is shown in English.
import { setting } from './model.js';

export const LANGUAGES = { en: 'English', hi: 'हिन्दी', gu: 'ગુજરાતી', ja: '日本語' };
let words = {}, english = {}, plural, number, clock;

export const loadWords = async () => {
  const lang = setting('lang', 'en') in LANGUAGES ? setting('lang', 'en') : 'en';
  const load = async (name) => (await fetch(`i18n/${name}.json`)).json();
  english = await load('en');
  words = lang === 'en' ? english : await load(lang);
  plural = new Intl.PluralRules(lang);
  number = new Intl.NumberFormat(lang === 'ja' ? 'ja' : 'en-IN');
  clock = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium' });
  document.documentElement.lang = lang;
};

export function t(id, values = {}) {
  let text = words[id] ?? english[id] ?? id;
  if (typeof text === 'object') text = text[plural.select(values.n)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === 'number' ? num(values[name]) : values[name] ?? ''));
}
export const num = (value) => number.format(value);
export const percent = (part, whole) => (whole ? `${(100 * part / whole).toFixed(2)} %` : '–');
export const when = (date) => clock.format(date);
