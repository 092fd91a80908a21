// Icons: strokes on a grid of 24 by 24.

import { s } from "./dom.js";

const PATHS = {
    overview: "M3 12h4l3-8 4 16 3-8h4",
    keys: "M15 4a5 5 0 1 0 0 10 5 5 0 0 0 0-10zM11.2 12.8 3 21m3-3 2.5 2.5M9 15l2 2",
    budgets: "M4 6h14a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H4zM4 6V4h12M15 13h2",
    bans: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM5.7 5.7l12.6 12.6",
    tokens: "M4 6h16v12H4zM4 10h16M8 14.5h3M16.5 14.5v.01",
    audit: "M6 3h9l4 4v14H6zM14 3v5h5M9 12h7M9 16h7",
    models: "M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9",
    settings: "M4 7h10m4 0h2M4 17h2m4 0h10M16 4.5v5M8 14.5v5",
    users: "M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM2 21c0-4 3-6.5 7-6.5s7 2.5 7 6.5M16 3.5a4 4 0 0 1 0 7.5M18.5 15c2.2.9 3.5 3 3.5 6",
    playground: "M4 5h16v11H10l-5 4v-4H4z",
    account: "M12 12a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM3.5 21c.6-4 4-6.5 8.5-6.5s7.9 2.5 8.5 6.5",
    menu: "M4 6h16M4 12h16M4 18h16",
    close: "M6 6l12 12M18 6L6 18",
    search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM16 16l5 5",
    plus: "M12 5v14M5 12h14",
    copy: "M9 9h11v11H9zM5 15H4V4h11v1",
    check: "M5 12.5l4.5 4.5L19 7.5",
    alert: "M12 4L2.5 20h19zM12 10v4.5M12 17v.5",
    info: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 11v5M12 7.5v.5",
    sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M4.9 4.9l1.4 1.4M17.7 17.7l1.4 1.4M2 12h2M20 12h2M4.9 19.1l1.4-1.4M17.7 6.3l1.4-1.4",
    moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z",
    system: "M3 5h18v11H3zM9 20h6M12 16v4",
    logout: "M14 4H5v16h9M10 12h11M17 8l4 4-4 4",
    back: "M15 5l-7 7 7 7",
    picture: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9.5v.01",
    send: "M4 12l16-8-6 17-3-7z",
    stop: "M7 7h10v10H7z",
    reload: "M20 11a8 8 0 0 0-14.5-4L3 9.5M3 4.5v5h5M4 13a8 8 0 0 0 14.5 4l2.5-2.5M21 19.5v-5h-5",
    upload: "M12 15.5V4.5M7.5 9L12 4.5 16.5 9M5 20h14",
    download: "M12 4v11M7.5 11L12 15.5 16.5 11M5 20h14",
};

/** An icon without a name of its own: the text next to it, or the label of its button, is read. */
export function icon(name, size = 18) {
    return s(
        "svg",
        {
            viewBox: "0 0 24 24",
            width: size,
            height: size,
            fill: "none",
            stroke: "currentColor",
            "stroke-width": 1.8,
            "stroke-linecap": "round",
            "stroke-linejoin": "round",
            "aria-hidden": "true",
            focusable: "false",
        },
        s("path", { d: PATHS[name] }),
    );
}
