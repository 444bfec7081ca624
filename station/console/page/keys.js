// Security keys: the browser asks the key, the server judges the answer.
import { post } from './commands.js';

export const keys = () => !!globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON;

export async function shown(path) {            // an answer to what the server asks at `path`
  const options = await post(path, {});
  if (options.code) return { refused: options };
  const found = await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
  return { key: JSON.stringify(found.toJSON()) };
}

export async function made() {
  const options = await post('keys/registration', {});
  if (options.code) return options;
  const found = await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) });
  return post('keys', { key: JSON.stringify(found.toJSON()) });
}
