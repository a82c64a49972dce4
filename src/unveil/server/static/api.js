// Asking the server: the token, errors in words, images of rows.

import { t } from "./words.js";

const KEY = "unveil-token";
let token = sessionStorage.getItem(KEY) || "";

const MAX_TRIES = 10;
const MAX_WAIT = 120; // seconds

/**
 * What went wrong, in words that a person can act on; `anyway` where the same may be asked for all the same, `conflict`
 * the text that somebody else wrote meanwhile, `after` the seconds after which the server wants to be asked again.
 */
export class Refused extends Error {
  constructor(status, message, { anyway = false, conflict = null, after = Infinity } = {}) {
    super(message);
    this.status = status;
    this.anyway = anyway;
    this.conflict = conflict;
    this.after = after;
  }
}

export const signedIn = () => token !== "";

export function signIn(text) {
  token = text.trim();
  if (token) sessionStorage.setItem(KEY, token);
  else sessionStorage.removeItem(KEY);
}

/** Ask; return the response. `json` or `body` make it a POST, where `method` names no other. */
export async function ask(path, { json, body, signal, method } = {}) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (json !== undefined) headers["Content-Type"] = "application/json";
  else if (body !== undefined) headers["Content-Type"] = "application/octet-stream";
  let response;
  try {
    response = await fetch(`/api/v1${path}`, {
      method: method ?? (json !== undefined || body !== undefined ? "POST" : "GET"),
      headers,
      body: json !== undefined ? JSON.stringify(json) : body,
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, t("error.no-answer"));
  }
  if (!response.ok) throw await refusalOf(response);
  return response;
}

export async function askJson(path, options) {
  return (await ask(path, options)).json();
}

/**
 * Do what asks the server; where it is asked too often, wait for as long as it says and do it again, some times, while
 * `wanted()`.
 */
export async function patiently(work, wanted = () => true) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      if (!(error.after <= MAX_WAIT) || tries === MAX_TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000 * error.after));
      if (!wanted()) throw error;
    }
  }
}

async function refusalOf(response) {
  let words = t("error.status", { status: response.status });
  let more = {};
  try {
    const { error, request, skip_person_check: anyway, conflict } = await response.json();
    more = { anyway: anyway === true, conflict };
    words = error[0].toUpperCase() + error.slice(1) + (error.endsWith(".") ? "" : ".");
    if (response.status >= 500 && request) words += ` ${t("error.request", { request })}`;
  } catch {
    // An answer of something in between, without our words.
  }
  const after = response.headers.get("Retry-After");
  return new Refused(response.status, words, { ...more, after: after === null ? Infinity : Number(after) });
}

const images = new Map();
const MAX_HELD = 400;

/** Return an address of a row's image, kept for the next time. */
export function thumbnail(gallery, id) {
  const path = `/galleries/${gallery}/items/${id}/thumbnail`;
  if (!images.has(path)) {
    images.set(path, patiently(() => blobOf(path)).catch((error) => {
      images.delete(path);
      throw error;
    }));
    if (images.size > MAX_HELD) {
      const [oldest, address] = images.entries().next().value;
      images.delete(oldest);
      address.then(URL.revokeObjectURL, () => {});
    }
  }
  return images.get(path);
}

/** Fetch something binary; return an address of it that images and links can use. */
export async function blobOf(path, options) {
  return URL.createObjectURL(await (await ask(path, options)).blob());
}
