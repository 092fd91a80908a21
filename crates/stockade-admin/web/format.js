// Times, durations and numbers as text, in the language of the page.

import { text } from "./strings.js";

const LOCALE = "en";
const number = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 1 });
const compact = new Intl.NumberFormat(LOCALE, { notation: "compact", maximumFractionDigits: 1 });
const relative = new Intl.RelativeTimeFormat(LOCALE, { numeric: "auto" });
const full = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });
const short = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium", timeStyle: "short", hourCycle: "h23" });
const clock = new Intl.DateTimeFormat(LOCALE, { timeStyle: "medium", hourCycle: "h23" });
const dayOnly = new Intl.DateTimeFormat(LOCALE, { month: "short", day: "numeric" });
const money = new Intl.NumberFormat(LOCALE, { minimumFractionDigits: 2, maximumFractionDigits: 4 });

const UNITS = [
    ["year", 31_536_000],
    ["month", 2_592_000],
    ["day", 86_400],
    ["hour", 3_600],
    ["minute", 60],
];

export const fullTime = (time) => full.format(new Date(time));
export const shortTime = (time) => short.format(new Date(time));
export const clockTime = (time) => clock.format(new Date(time));
export const day = (time) => dayOnly.format(new Date(time));
export const count = (value) => number.format(value);
export const price = (value) => money.format(value);

/** An amount of a budget. */
export const amount = (value, unit) => (unit === "money" ? price(value) : count(value));

/** Large numbers shortened: `12.4K`. */
export const shortCount = (value) => (Math.abs(value) < 10_000 ? number : compact).format(value);

/** The distance from now: `3 minutes ago`, `in 2 days`. */
export function ago(time, now = Date.now()) {
    const seconds = (new Date(time).getTime() - now) / 1000;
    const unit = UNITS.find(([, length]) => Math.abs(seconds) >= length);
    if (!unit) return seconds <= 0 ? text.time.justNow : text.time.soon;
    return relative.format(Math.round(seconds / unit[1]), unit[0]);
}

/** A duration of milliseconds: `48 ms`, `1.2 s`. */
export function duration(ms) {
    if (ms === null || ms === undefined) return text.none;
    if (ms < 1000) return text.time.ms(number.format(Math.round(ms)));
    return text.time.seconds(number.format(ms / 1000));
}

/** A number of bytes: `412 KB`. */
export function bytes(size) {
    if (size < 1_000_000) return text.size.kilobytes(number.format(Math.max(1, Math.round(size / 1000))));
    return text.size.megabytes(number.format(size / 1_000_000));
}
