// Applies the chosen theme before the first paint: a classic script, because modules are deferred.
(() => {
    let theme = "system";
    try {
        theme = localStorage.getItem("stockade-theme") ?? theme;
    } catch {
        // Storage is disabled: the theme of the system applies.
    }
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
