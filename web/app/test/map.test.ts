import type { Schemas } from "@rialto/client";
import { describe, expect, test } from "vitest";
import { boxAround, boxOf, circleAround, distanceKm, isIn } from "../src/pages/market/map/area";
import { flat, named } from "../src/pages/market/map/basemap";
import { Clusters, placed } from "../src/pages/market/map/clusters";

const VENICE = { lat: 45.44, lng: 12.33 };
const BERLIN = { lat: 52.52, lng: 13.405 };
const WORLD = { south: -85, west: -180, north: 85, east: 180 };

/** Of a job, what a map needs. */
function job(id: string, location: Partial<Schemas["Location"]> | null): Schemas["JobOut"] {
  return { id, title: id, location } as Schemas["JobOut"];
}

describe("areas", () => {
  test("distances go over the ground", () => {
    expect(distanceKm(VENICE, BERLIN)).toBeCloseTo(790, -1);
    expect(distanceKm({ lat: 0, lng: 179.5 }, { lat: 0, lng: -179.5 })).toBeCloseTo(111, 0);
  });

  test("the circle around a view holds all of it, and never more than the server takes", () => {
    const view = { south: 44, west: 10, north: 47, east: 15 };
    const { near, radius } = circleAround(view);
    const [lat = 0, lng = 0] = near.split(",").map(Number);
    for (const corner of [
      { lat: view.south, lng: view.west },
      { lat: view.north, lng: view.east },
    ])
      expect(distanceKm({ lat, lng }, corner)).toBeLessThanOrEqual(Number(radius) + 1);
    expect(Number(circleAround(WORLD).radius)).toBeLessThanOrEqual(20_000);
  });

  test("the box around a circle holds what is near, and there is none without a circle", () => {
    const box = boxAround("45.44,12.33", "100");
    expect(box && isIn({ lat: 46.2, lng: 12.33 }, box)).toBe(true);
    expect(box && isIn(BERLIN, box)).toBe(false);
    expect(boxAround("", "100")).toBeUndefined();
    expect(boxAround("45,x", "100")).toBeUndefined();
    expect(boxOf([])).toBeUndefined();
  });
});

describe("spots", () => {
  test("jobs without coordinates have no spot; zero is a coordinate", () => {
    const jobs = [job("a", null), job("b", { address: "Venice" }), job("c", { lat: 0, lng: 0 })];
    expect(placed(jobs).map(({ job: { id } }) => id)).toEqual(["c"]);
  });

  test("jobs that would cover each other are one spot, and come apart closer by", () => {
    const close = { lat: VENICE.lat + 0.5, lng: VENICE.lng };
    const clusters = new Clusters(placed([job("a", VENICE), job("b", close), job("c", { lat: -30, lng: 100 })]));
    const far = clusters.spots(WORLD, 2);
    expect(far.map(({ jobs }) => jobs.length).sort()).toEqual([1, 2]);
    const both = far.find(({ jobs }) => jobs.length === 2);
    expect(clusters.spots(WORLD, both?.apart ?? 0)).toHaveLength(3);
  });

  test("jobs at the same place stay one spot, by its name", () => {
    const [spot] = new Clusters(
      placed([
        job("a", { ...VENICE, address: "Venice, Italy" }),
        job("b", { ...VENICE, address: "Venice, Dorsoduro" }),
      ]),
    ).spots(WORLD, 5);
    expect(spot?.apart).toBeUndefined();
    expect(spot?.place).toBe("Venice");
  });
});

test("a country's name stands in the middle of its largest part", () => {
  const square = (west: number, size: number) => [
    [
      [west, 0],
      [west + size, 0],
      [west + size, size],
      [west, size],
      [west, 0],
    ],
  ];
  const country = named("Two", { type: "MultiPolygon", coordinates: [square(50, 1), square(0, 4)] });
  expect(country).toMatchObject({ name: "Two", width: 4 });
  expect(country.lat).toBeCloseTo(2);
  expect(country.lng).toBeCloseTo(2);
});

test("a land across the date line goes on beyond the edge, and is drawn at both", () => {
  const ring = [
    [170, 60],
    [-170, 60],
    [-170, 65],
    [170, 65],
    [170, 60],
  ];
  const copies = flat([ring]);
  expect(copies.map(([line]) => line?.map(([lng]) => lng))).toEqual([
    [170, 190, 190, 170, 170],
    [-190, -170, -170, -190, -190],
  ]);
  expect(flat([ring.map(([lng = 0, lat = 0]) => [lng / 10, lat]).slice(0, 1)])).toHaveLength(1);
});
