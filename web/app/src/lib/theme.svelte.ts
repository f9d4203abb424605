export type Theme = "auto" | "light" | "dark";

const KEPT = "rialto.theme";
const THEMES: readonly Theme[] = ["auto", "light", "dark"];

const kept = (): Theme => THEMES.find((one) => one === localStorage.getItem(KEPT)) ?? "auto";

class ThemeChoice {
  value = $state<Theme>(kept());

  choose(theme: Theme): void {
    this.value = theme;
    if (theme === "auto") localStorage.removeItem(KEPT);
    else localStorage.setItem(KEPT, theme);
    this.apply();
  }

  apply(): void {
    if (this.value === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.value;
  }
}

export const theme = new ThemeChoice();
