// The switch between the themes.

import { h } from "./dom.js";
import { icon } from "./icons.js";
import { text } from "./strings.js";

const NAME = "stockade-theme";

function stored() {
    try {
        return localStorage.getItem(NAME) ?? "system";
    } catch {
        return "system";
    }
}

function choose(theme) {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    try {
        localStorage.setItem(NAME, theme);
    } catch {
        // Storage is disabled: the choice lasts until the page is closed.
    }
}

/** Three buttons: the theme of the system, light, dark. */
export function themeSwitch() {
    const themes = [
        ["system", "system"],
        ["light", "sun"],
        ["dark", "moon"],
    ];
    const buttons = themes.map(([theme, image]) =>
        h(
            "button",
            {
                type: "button",
                "aria-label": text.themes[theme],
                title: text.themes[theme],
                "aria-pressed": stored() === theme ? "true" : "false",
                onclick: () => {
                    choose(theme);
                    buttons.forEach((node, at) => node.setAttribute("aria-pressed", themes[at][0] === theme ? "true" : "false"));
                },
            },
            icon(image, 15),
        ),
    );
    return h("div", { class: "themes", role: "group", "aria-label": text.themes.label }, buttons);
}
