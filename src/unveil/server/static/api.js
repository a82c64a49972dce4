// Asking the server: the token, errors in words, pictures of rows.

const KEY = "unveil-token";
let token = sessionStorage.getItem(KEY) || "";

/** What went wrong, in words that a person can act on; `anyway` where the same may be asked for all the same. */
export class Refused extends Error {
  constructor(status, message, anyway = false) {
    super(message);
    this.status = status;
    this.anyway = anyway;
  }
}

export const signedIn = () => token !== "";

export function signIn(text) {
  token = text.trim();
  if (token) sessionStorage.setItem(KEY, token);
  else sessionStorage.removeItem(KEY);
}

/** Ask; return the response. `json` or `body` make it a POST. */
export async function ask(path, { json, body, signal } = {}) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (json !== undefined) headers["Content-Type"] = "application/json";
  else if (body !== undefined) headers["Content-Type"] = "application/octet-stream";
  let response;
  try {
    response = await fetch(`/api/v1${path}`, {
      method: json !== undefined || body !== undefined ? "POST" : "GET",
      headers,
      body: json !== undefined ? JSON.stringify(json) : body,
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "The server does not answer. Is it still running?");
  }
  if (!response.ok) throw await refusalOf(response);
  return response;
}

export async function askJson(path, options) {
  return (await ask(path, options)).json();
}

async function refusalOf(response) {
  let words = `The server answered ${response.status}.`;
  let may = false;
  try {
    const { error, request, anyway } = await response.json();
    may = anyway === true;
    words = error[0].toUpperCase() + error.slice(1) + (error.endsWith(".") ? "" : ".");
    if (response.status >= 500 && request) words += ` (request ${request})`;
  } catch {
    // An answer of something in between, without our words.
  }
  return new Refused(response.status, words, may);
}

const pictures = new Map();
const MOST = 400;

/** Return an address of a row's picture, kept for the next time. */
export function thumbnail(gallery, id) {
  const path = `/galleries/${gallery}/items/${id}/thumbnail`;
  if (!pictures.has(path)) {
    pictures.set(path, blobOf(path).catch((error) => {
      pictures.delete(path);
      throw error;
    }));
    if (pictures.size > MOST) {
      const [oldest, address] = pictures.entries().next().value;
      pictures.delete(oldest);
      address.then(URL.revokeObjectURL, () => {});
    }
  }
  return pictures.get(path);
}

/** Fetch something binary; return an address of it that images and links can use. */
export async function blobOf(path) {
  return URL.createObjectURL(await (await ask(path)).blob());
}
