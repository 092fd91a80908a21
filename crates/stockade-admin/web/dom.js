// Creates elements. Strings always become text nodes, so that names and user agents of clients
// cannot become markup.

const SVG = "http://www.w3.org/2000/svg";

/** Links lead to a page of this application, a file of its API or its login, never to another site. */
function isSafeLink(href) {
    return href === "#main" || href === "/admin/oidc/login" || href.startsWith("#/") || href.startsWith("/admin/v1/");
}

/**
 * Sets one attribute or property. Functions are listeners, `false` and `null` are absent.
 * @param {Element} node
 */
function set(node, name, value) {
    if (value === false || value === null || value === undefined) return;
    if (name.startsWith("on")) {
        if (typeof value !== "function") throw new TypeError(`${name} must be a function`);
        node.addEventListener(name.slice(2), value);
        return;
    }
    if (name === "style") throw new TypeError("the content security policy refuses style attributes");
    if (name === "href" && !isSafeLink(String(value))) throw new TypeError("a link to another site");
    if (name === "value" && "value" in node) {
        node.value = value;
        return;
    }
    node.setAttribute(name, value === true ? "" : String(value));
}

/** Appends nodes, strings, numbers and arrays of them; absent values are skipped. */
export function append(node, ...children) {
    for (const child of children.flat(Infinity)) {
        if (child === false || child === null || child === undefined) continue;
        node.append(child instanceof Node ? child : String(child));
    }
    return node;
}

function create(node, props, children) {
    // The value of a `select` needs its options.
    const { value, ...others } = props ?? {};
    for (const [name, item] of Object.entries(others)) set(node, name, item);
    append(node, ...children);
    set(node, "value", value);
    return node;
}

/** An HTML element. */
export function h(tag, props, ...children) {
    return create(document.createElement(tag), props, children);
}

/** An SVG element. */
export function s(tag, props, ...children) {
    return create(document.createElementNS(SVG, tag), props, children);
}

/** Replaces the children of an element. */
export function replace(node, ...children) {
    node.replaceChildren();
    return append(node, ...children);
}

let last = 0;

/** An id that no other element has. */
export function freshId(prefix) {
    last += 1;
    return `${prefix}-${last}`;
}
