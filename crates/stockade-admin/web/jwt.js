// The claims of an access token. Its signature is not checked: the text was pasted by the user.

/** The claims of a token, or `null` for other text. */
export function claimsOf(token) {
    const parts = token.trim().split(".");
    if (parts.length !== 3) return null;
    try {
        const bytes = Uint8Array.from(atob(parts[1].replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
        const claims = JSON.parse(new TextDecoder().decode(bytes));
        return claims !== null && typeof claims === "object" ? claims : null;
    } catch {
        return null;
    }
}
