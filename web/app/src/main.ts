import "./styles/base.css";
import { mount } from "svelte";
import App from "./App.svelte";
import { openMarket } from "$lib/market.svelte";
import { offline } from "$lib/offline.svelte";
import { router } from "$lib/router.svelte";
import { theme } from "$lib/theme.svelte";

theme.apply();
router.start();
openMarket();
mount(App, { target: document.getElementById("app") as HTMLElement });
// It fetches what the first page has no need of.
addEventListener("load", () => void offline.begin());
