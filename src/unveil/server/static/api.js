// Asking the server: the token, errors in words, images of rows.

import { t } from "./words.js";

const KEY = "unveil-token";
let token = sessionStorage.getItem(KEY) || "";

/**
 * What went wrong, in words that a person can act on; `anyway` where the same may be asked for all the same, `conflict`
 * the text that somebody else wrote meanwhile.
 */
export class Refused extends Error {
  constructor(status, message, { anyway = false, conflict = null } = {}) {
    super(message);
    this.status = status;
    this.anyway = anyway;
    this.conflict = conflict;
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
  return new Refused(response.status, words, more);
}

const images = new Map();
const MAX_HELD = 400;

/** Return an address of a row's image, kept for the next time. */
export function thumbnail(gallery, id) {
  const path = `/galleries/${gallery}/items/${id}/thumbnail`;
  if (!images.has(path)) {
    images.set(path, blobOf(path).catch((error) => {
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
