import L from "leaflet";
import "leaflet/dist/leaflet.css";
import type { Box } from "./area";
import type { Basemap, Country } from "./basemap";
import { MOST_ZOOM, type Spot } from "./clusters";

export interface JobMapHooks {
  /** The map shows another part of the world. */
  onMove: (box: Box, zoom: number, byReader: boolean) => void;
  onSpot: (spot: Spot) => void;
  onPoint: (spot: Spot | undefined) => void;
}

/** What of the world there is: without the poles, which this projection draws endlessly large. */
const WORLD = L.latLngBounds([-58, -180], [82, 180]);
/** Where people live, for when there is nothing else to show. */
const INHABITED: Box = { south: -35, west: -115, north: 62, east: 145 };
const LEAST_ZOOM = 1;
/** A lone job is shown with what is around it. */
const USUAL_ZOOM = 7;
const GRATICULE_STEP = 10;
/** The width of a letter of a country's name with its spacing. */
const LETTER_PX = 9;

/** Leaflet, with the drawing of the market's own: everything that can be pressed is a real button. */
export class JobMap {
  private readonly map: L.Map;
  private readonly markers = new Map<string, { marker: L.Marker; button: HTMLButtonElement }>();
  private readonly names = L.layerGroup();
  private area: L.Circle | undefined;
  private countries: readonly Country[] = [];
  /** Moves that the reader has not made. */
  private own = 0;
  private dragged = false;

  constructor(
    element: HTMLElement,
    private readonly hooks: JobMapHooks,
  ) {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.map = L.map(element, {
      attributionControl: false,
      zoomControl: false,
      trackResize: false,
      minZoom: LEAST_ZOOM,
      maxZoom: MOST_ZOOM,
      zoomSnap: 0.5,
      maxBounds: WORLD,
      maxBoundsViscosity: 1,
      // The wheel scrolls the page until the reader has turned to the map.
      scrollWheelZoom: false,
      zoomAnimation: !still,
      fadeAnimation: !still,
      markerZoomAnimation: !still,
      inertia: !still,
    });
    this.map.on("focus", () => this.map.scrollWheelZoom.enable());
    this.map.on("blur", () => this.map.scrollWheelZoom.disable());
    this.map.on("dragstart", () => (this.dragged = true));
    this.map.on("dragend", () => setTimeout(() => (this.dragged = false))); // after the click that ends it
    this.map.on("moveend", () => this.moved());
    this.names.addTo(this.map);
    this.show(INHABITED);
  }

  draw({ land, borders, countries }: Basemap): void {
    const quiet = { interactive: false, smoothFactor: 1.2 };
    L.geoJSON(land, { ...quiet, style: { className: "map-land" } }).addTo(this.map);
    L.polyline(graticule(), { ...quiet, className: "map-graticule" }).addTo(this.map);
    L.geoJSON(borders, { ...quiet, style: { className: "map-border" } }).addTo(this.map);
    this.area?.bringToFront();
    this.countries = countries;
    this.writeNames();
  }

  /** Moves to a part of the world. */
  show({ south, west, north, east }: Box): void {
    const bounds = L.latLngBounds([south, west], [north, east]);
    this.own += 1;
    this.map.fitBounds(bounds, { padding: [48, 48], maxZoom: USUAL_ZOOM, animate: false });
    this.own -= 1;
  }

  zoomTo({ lat, lng }: Spot, zoom: number): void {
    this.map.setView([lat, lng], zoom);
  }

  zoomBy(steps: number): void {
    this.map.setZoom(this.map.getZoom() + steps);
  }

  /** Rings the area that was searched. */
  ring(near: string, radius: string): void {
    this.area?.remove();
    const [lat, lng] = near.split(",").map(Number);
    if (!near || lat === undefined || lng === undefined) return;
    this.area = L.circle([lat, lng], {
      radius: Number(radius) * 1000,
      interactive: false,
      className: "map-area",
    }).addTo(this.map);
  }

  /** Shows these spots; those that were there stay the same elements, with the focus that they may have. */
  place(spots: readonly Spot[]): void {
    const wanted = new Set(spots.map(({ key }) => key));
    for (const [key, { marker }] of this.markers) {
      if (wanted.has(key)) continue;
      marker.remove();
      this.markers.delete(key);
    }
    for (const spot of spots) if (!this.markers.has(spot.key)) this.markers.set(spot.key, this.mark(spot));
  }

  /** Marks the spots with any of these jobs. */
  highlight(chosen: ReadonlySet<string>): void {
    for (const [key, { marker, button }] of this.markers) {
      const on = key.split(" ").some((id) => chosen.has(id));
      button.classList.toggle("on", on);
      marker.setZIndexOffset(on ? 1000 : 0);
    }
  }

  focus(): void {
    this.map.getContainer().focus({ preventScroll: true });
  }

  resize(): void {
    this.own += 1;
    this.map.invalidateSize({ animate: false });
    this.own -= 1;
  }

  remove(): void {
    this.map.remove();
  }

  private mark(spot: Spot): { marker: L.Marker; button: HTMLButtonElement } {
    const button = document.createElement("button");
    button.type = "button";
    button.className = spot.jobs.length > 1 ? "spot many" : "spot";
    const [first] = spot.jobs;
    const many = spot.jobs.length > 1;
    // What is read out begins with what is to be seen.
    button.append(text("dot", many ? String(spot.jobs.length) : ""));
    button.append(text("visually-hidden", many ? " jobs" : (first?.title ?? "")));
    if (spot.place) button.append(text("visually-hidden", ", "), text("name", spot.place));
    button.addEventListener("click", (event) => {
      // Drawing the map along by a button is no press of it.
      if (event.detail > 0 && this.dragged) return;
      this.hooks.onSpot(spot);
    });
    for (const type of ["pointerenter", "focus"]) button.addEventListener(type, () => this.hooks.onPoint(spot));
    for (const type of ["pointerleave", "blur"]) button.addEventListener(type, () => this.hooks.onPoint(undefined));
    const icon = L.divIcon({ html: button, className: "spot-icon", iconSize: [0, 0] });
    const marker = L.marker([spot.lat, spot.lng], { icon, interactive: false, keyboard: false }).addTo(this.map);
    return { marker, button };
  }

  private moved(): void {
    const bounds = this.map.getBounds();
    const box = {
      south: bounds.getSouth(),
      west: bounds.getWest(),
      north: bounds.getNorth(),
      east: bounds.getEast(),
    };
    this.writeNames();
    this.hooks.onMove(box, this.map.getZoom(), this.own === 0);
  }

  /** The names of the countries that are wide enough for theirs. */
  private writeNames(): void {
    this.names.clearLayers();
    const degree_px = (256 * 2 ** this.map.getZoom()) / 360;
    const seen = this.map.getBounds();
    for (const { name, lat, lng, width } of this.countries) {
      if (width * degree_px < name.length * LETTER_PX || !seen.contains([lat, lng])) continue;
      const label = document.createElement("span");
      label.textContent = name;
      label.ariaHidden = "true";
      const icon = L.divIcon({ html: label, className: "country-name", iconSize: [0, 0] });
      L.marker([lat, lng], { icon, interactive: false, keyboard: false, zIndexOffset: -1000 }).addTo(this.names);
    }
  }
}

function text(kind: string, content: string): HTMLElement {
  const element = document.createElement("bdi");
  element.className = kind;
  element.textContent = content;
  return element;
}

function graticule(): L.LatLngTuple[][] {
  const lines: L.LatLngTuple[][] = [];
  for (let lng = -180; lng <= 180; lng += GRATICULE_STEP)
    lines.push([
      [-85, lng],
      [85, lng],
    ]);
  for (let lat = -80; lat <= 80; lat += GRATICULE_STEP)
    lines.push([
      [lat, -180],
      [lat, 180],
    ]);
  return lines;
}
