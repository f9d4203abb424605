/** Degrees, WGS 84. */
export interface Point {
  lat: number;
  lng: number;
}

export interface Box {
  south: number;
  west: number;
  north: number;
  east: number;
}

const EARTH_KM = 6371;
/** What the server takes at most. */
const MOST_KM = 20_000;
const KM_PER_DEGREE = (EARTH_KM * Math.PI) / 180;

const radians = (degrees: number) => (degrees * Math.PI) / 180;

/** The distance over the ground. */
export function distanceKm(a: Point, b: Point): number {
  const lat = Math.sin(radians(b.lat - a.lat) / 2);
  const lng = Math.sin(radians(b.lng - a.lng) / 2);
  const h = lat ** 2 + Math.cos(radians(a.lat)) * Math.cos(radians(b.lat)) * lng ** 2;
  return 2 * EARTH_KM * Math.asin(Math.min(1, Math.sqrt(h)));
}

/** The circle around a box, as the market's filters have it: `near` is `lat,lng`, `radius` whole kilometres. */
export function circleAround({ south, west, north, east }: Box): { near: string; radius: string } {
  const centre = { lat: (south + north) / 2, lng: (west + east) / 2 };
  const corners = [south, north].map((lat) => distanceKm(centre, { lat, lng: east }));
  const radius = Math.min(MOST_KM, Math.max(1, Math.ceil(Math.max(...corners))));
  return { near: `${centre.lat.toFixed(2)},${centre.lng.toFixed(2)}`, radius: String(radius) };
}

/** The box around a circle; undefined if the filter isn't one. */
export function boxAround(near: string, radius: string): Box | undefined {
  const [lat, lng] = near.split(",").map(Number);
  const km = Number(radius);
  if (lat === undefined || lng === undefined || !near || ![lat, lng, km].every(Number.isFinite)) return undefined;
  const high = km / KM_PER_DEGREE;
  const wide = high / Math.max(0.05, Math.cos(radians(lat)));
  return {
    south: Math.max(-85, lat - high),
    north: Math.min(85, lat + high),
    west: Math.max(-180, lng - wide),
    east: Math.min(180, lng + wide),
  };
}

/** The smallest box with all points; undefined without any. */
export function boxOf(points: readonly Point[]): Box | undefined {
  if (points.length === 0) return undefined;
  const lats = points.map(({ lat }) => lat);
  const lngs = points.map(({ lng }) => lng);
  return { south: Math.min(...lats), north: Math.max(...lats), west: Math.min(...lngs), east: Math.max(...lngs) };
}

export const isIn = ({ lat, lng }: Point, { south, west, north, east }: Box): boolean =>
  lat >= south && lat <= north && lng >= west && lng <= east;
