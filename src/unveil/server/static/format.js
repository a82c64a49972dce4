// Times, scores and counts as people write them.

import { language, t } from "./words.js";

// Times since the epoch are dates; smaller ones are seconds since a recording began.
const EPOCH = 1e8;

export const isDate = (seconds) => seconds > EPOCH;

const KEY = "unveil-zone";
export const LOCAL = Intl.DateTimeFormat().resolvedOptions().timeZone;
let zone = localStorage.getItem(KEY) === "UTC" ? "UTC" : LOCAL;

// The reader's own way of the language that is shown: en-GB rather than en.
const shown = navigator.languages.find((name) => name.startsWith(language)) ?? language;

export const timeZone = () => zone;

/** Show and read dates in UTC, or in the browser's own zone. */
export function setTimeZone(name) {
  zone = name === "UTC" ? "UTC" : LOCAL;
  localStorage.setItem(KEY, zone);
}

/** Seconds by which the zone is behind UTC at a time. */
export const behind = (seconds) => (zone === "UTC" ? 0 : new Date(seconds * 1000).getTimezoneOffset() * 60);

const two = (n) => String(n).padStart(2, "0");

/** 83.4 -> "1:23", 3723 -> "1:02:03"; dates in the reader's language. */
export function timeText(seconds, short = false) {
  if (seconds === null || seconds === undefined) return "";
  if (isDate(seconds)) {
    const date = new Date(seconds * 1000);
    const time = date.toLocaleTimeString(shown, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: zone });
    return short ? time : `${date.toLocaleDateString(shown, { day: "numeric", month: "short", timeZone: zone })}, ${time}`;
  }
  const whole = Math.floor(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

export function span(start, end) {
  if (end === null || end === undefined || Math.abs(end - start) < 1) return timeText(start);
  return `${timeText(start)} – ${timeText(end, true)}`;
}

export function duration(seconds) {
  const s = Math.round(Math.abs(seconds));
  if (s < 90) return t("time.seconds", { n: s });
  if (s < 5400) return t("time.minutes", { n: Math.round(s / 60) });
  if (s < 172800) return t("time.hours", { n: (s / 3600).toFixed(1) });
  return t("time.days", { n: Math.round(s / 86400) });
}

/** "1:02:03", "2:05", "75", or a date and time -> seconds; null for nothing; NaN for what is no time. */
export function seconds(text) {
  const clean = text.trim();
  if (!clean) return null;
  if (/^\d+(\.\d+)?$/.test(clean)) return Number(clean);
  if (/^\d+(:[0-5]?\d){1,2}(\.\d+)?$/.test(clean)) return clean.split(":").reduce((sum, part) => 60 * sum + Number(part), 0);
  return Date.parse(zone === "UTC" ? `${clean}Z` : clean) / 1000;
}

/** The reverse of `seconds`: a timestamp as the fields for times take it. */
export function written(time) {
  if (!isDate(time)) return timeText(time);
  return new Date((time - behind(time)) * 1000).toISOString().slice(0, 19);
}

export function score(hit) {
  if (hit.probability !== null) return `${Math.round(100 * hit.probability)} %`;
  return hit.distance === null ? "–" : hit.distance.toFixed(3);
}

export const place = (item) =>
  [item.camera ? t("place.camera", { camera: item.camera }) : "", item.time === null ? "" : span(item.time, item.end)].filter(Boolean).join(" · ");
