// The conversation.

import { h, replace } from "../dom.js";
import { text } from "../strings.js";
import { empty } from "../widgets.js";
import { clicksIn, coordinateSize, pictureWithClicks } from "./clicks.js";

const t = text.playground;

/** The list of turns, which a screen reader follows. */
export function conversation() {
    const node = h("div", { class: "talk", tabindex: 0, role: "log", "aria-label": t.conversation }, intro());
    const add = (turn) => {
        node.querySelector(".empty")?.remove();
        node.append(turn);
        node.scrollTop = node.scrollHeight;
    };
    return { node, add, clear: () => replace(node, intro()), toEnd: () => (node.scrollTop = node.scrollHeight) };
}

function intro() {
    return empty("playground", t.intro, t.introHint);
}

export function userTurn(question, picture) {
    const image = picture && pictureWithClicks(picture, [], picture);
    return h("div", { class: "turn user" }, h("b", null, t.you), image, question && h("div", { class: "turn-text" }, question));
}

/** An answer that grows, and ends with its clicks on the picture. */
export function answerTurn(model) {
    const words = h("div", { class: "turn-text" });
    const node = h("div", { class: "turn busy" }, h("b", null, model), words);
    const append = (part) => words.append(part);
    const finish = (picture, response) => {
        node.classList.remove("busy");
        const clicks = clicksIn(words.textContent);
        if (picture && clicks.length) node.append(pictureWithClicks(picture, clicks, coordinateSize(picture, response.headers)));
        if (!words.textContent) words.append(h("span", { class: "muted" }, t.noAnswer));
    };
    const fail = (message) => {
        node.classList.remove("busy");
        const failed = h("div", { class: "turn failed", role: "alert" }, h("div", { class: "turn-text" }, message));
        if (words.textContent) node.append(failed);
        else node.replaceChildren(node.firstChild, failed);
    };
    return { node, append, finish, fail, text: () => words.textContent };
}
