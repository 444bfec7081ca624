// Words by id, with plurals, in the operator's language; a test holds that every language has them all.
import { setting } from './model.js';

export const LANGUAGES = { en: 'English', hi: 'हिन्दी', gu: 'ગુજરાતી', ja: '日本語' };
const parts = [''];                     // what the page needs at once; engineers' words come when they are wanted
let words = {}, plural, number, clock;

export const loadWords = async () => {
  const lang = setting('lang', 'en') in LANGUAGES ? setting('lang', 'en') : 'en';
  const load = async (part) => (await fetch(`i18n/${part}${lang}.json`)).json();
  words = Object.assign({}, ...await Promise.all(parts.map(load)));
  plural = new Intl.PluralRules(lang);
  number = new Intl.NumberFormat(lang === 'ja' ? 'ja' : 'en-IN');
  clock = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium' });
  document.documentElement.lang = lang;
};

export const moreWords = async (part) => {
  if (!parts.includes(`${part}-`)) parts.push(`${part}-`);
  await loadWords();
};

export function t(id, values = {}) {
  let text = words[id] ?? id;
  if (typeof text === 'object') text = text[plural.select(values.n)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === 'number' ? num(values[name]) : values[name] ?? ''));
}
// A reason that the station gives by itself is a code of ours; one that a person gave stays as it is.
export const because = (reason) => words[`e10.why.${reason}`] ?? reason;
export const num = (value) => number.format(value);
export const percent = (part, whole) => (whole ? `${(100 * part / whole).toFixed(2)} %` : '–');
export const when = (date) => clock.format(date);
