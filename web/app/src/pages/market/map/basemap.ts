import type { MultiLineString, MultiPolygon, Polygon, Position } from "geojson";
import { feature, merge, mesh } from "topojson-client";
import type {
  GeometryCollection,
  MultiPolygon as Shape,
  Polygon as SimpleShape,
  Topology,
} from "topojson-specification";
// Natural Earth, public domain.
import atlasUrl from "world-atlas/countries-50m.json?url";

type Atlas = Topology<{ countries: GeometryCollection<{ name: string }> }>;

export interface Country {
  name: string;
  /** Where its name stands. */
  lat: number;
  lng: number;
  /** Degrees of longitude that its main part takes. */
  width: number;
}

export interface Basemap {
  land: MultiPolygon;
  borders: MultiLineString;
  countries: readonly Country[];
}

/** Without tiles from elsewhere there is nothing near the pole but a white band. */
const LEFT_OUT = "Antarctica";

/** Fetches the land, the borders and the names of the countries, out of a file of the app's own. */
export async function loadBasemap(): Promise<Basemap> {
  const response = await fetch(atlasUrl);
  if (!response.ok) throw new Error(`the map's file: ${response.status}`);
  const atlas = (await response.json()) as Atlas;
  const countries = atlas.objects.countries.geometries.filter(
    ({ properties }) => properties !== undefined && "name" in properties && properties.name !== LEFT_OUT,
  );
  const { features } = feature(atlas, { ...atlas.objects.countries, geometries: countries });
  const land = merge(atlas, countries as (Shape | SimpleShape)[]);
  const borders = mesh(atlas, atlas.objects.countries, (one, other) => one !== other);
  return {
    land: { ...land, coordinates: land.coordinates.flatMap((rings) => flat(rings)) },
    borders: { ...borders, coordinates: borders.coordinates.flatMap((line) => flat([line]).flat()) },
    countries: features.flatMap(({ geometry, properties: { name } }) =>
      geometry.type === "Polygon" || geometry.type === "MultiPolygon" ? [named(name, geometry)] : [],
    ),
  };
}

/**
 * Lines without jumps from one edge of the map to the other: on the globe they go on across the date line, so they go on beyond the
 * edge here. What does that is drawn at the other edge as well.
 */
export function flat(lines: Position[][]): Position[][][] {
  const smooth = lines.map(unwrapped);
  const lngs = smooth.flatMap((line) => line.map(([lng = 0]) => lng));
  const shifts = [0];
  if (lngs.some((lng) => lng > 180)) shifts.push(-360);
  if (lngs.some((lng) => lng < -180)) shifts.push(360);
  return shifts.map((shift) => smooth.map((line) => line.map(([lng = 0, lat = 0]) => [lng + shift, lat])));
}

function unwrapped(line: Position[]): Position[] {
  let before = line[0]?.[0] ?? 0;
  const smooth = line.map(([lng = 0, lat = 0]) => {
    before = lng + 360 * Math.round((before - lng) / 360);
    return [before, lat];
  });
  const middle = smooth.reduce((sum, [lng = 0]) => sum + lng, 0) / smooth.length;
  const home = 360 * Math.round(middle / 360);
  return smooth.map(([lng = 0, lat = 0]) => [lng - home, lat]);
}

/** A country's name goes to the middle of its largest part. */
export function named(name: string, shape: Polygon | MultiPolygon): Country {
  const rings = shape.type === "Polygon" ? [shape.coordinates[0]] : shape.coordinates.map(([outer]) => outer);
  let main = { area: -1, lat: 0, lng: 0, width: 0 };
  for (const ring of rings) {
    const part = measure(unwrapped(ring ?? []));
    if (part.area > main.area) main = part;
  }
  const { lat, lng, width } = main;
  return { name, lat, lng, width };
}

function measure(ring: Position[]): { area: number; lat: number; lng: number; width: number } {
  let [area, lat, lng, west, east] = [0, 0, 0, Infinity, -Infinity];
  for (const [index, [x = 0, y = 0]] of ring.entries()) {
    const [x2 = 0, y2 = 0] = ring[(index + 1) % ring.length] ?? [];
    const cross = x * y2 - x2 * y;
    area += cross;
    lng += (x + x2) * cross;
    lat += (y + y2) * cross;
    west = Math.min(west, x);
    east = Math.max(east, x);
  }
  if (area === 0) return { area: 0, lat: 0, lng: 0, width: 0 };
  return { area: Math.abs(area) / 2, lat: lat / (3 * area), lng: lng / (3 * area), width: east - west };
}
