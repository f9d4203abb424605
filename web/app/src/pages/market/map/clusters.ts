import type { Schemas } from "@rialto/client";
import Supercluster from "supercluster";
import type { Box, Point } from "./area";

type Job = Schemas["JobOut"];

export interface PlacedJob extends Point {
  job: Job;
}

/** What is drawn at one place: a job, or several that would cover each other. */
export interface Spot extends Point {
  /** The same for the same jobs at the same zoom. */
  key: string;
  jobs: readonly Job[];
  /** What the jobs call the place; undefined if they don't agree. */
  place: string | undefined;
  /** From which zoom on they are apart; undefined if never, or if there is one. */
  apart: number | undefined;
}

/** How far apart spots are, in px: as wide as their names. */
const APART_PX = 72;
export const MOST_ZOOM = 11;

/** The jobs that have a place on the map. */
export function placed(jobs: readonly Job[]): PlacedJob[] {
  return jobs.flatMap((job) => {
    const { lat = null, lng = null } = job.location ?? {};
    return lat === null || lng === null ? [] : [{ job, lat, lng }];
  });
}

/** Which spots there are in a part of the map. */
export class Clusters {
  private readonly index = new Supercluster<{ job: Job }>({
    radius: APART_PX,
    extent: 256,
    maxZoom: MOST_ZOOM,
  });

  constructor(jobs: readonly PlacedJob[]) {
    this.index.load(
      jobs.map(({ job, lat, lng }) => ({
        type: "Feature",
        properties: { job },
        geometry: { type: "Point", coordinates: [lng, lat] },
      })),
    );
  }

  spots({ south, west, north, east }: Box, zoom: number): Spot[] {
    return this.index.getClusters([west, south, east, north], Math.round(zoom)).map(({ geometry, properties }) => {
      const [lng = 0, lat = 0] = geometry.coordinates;
      if (!("cluster_id" in properties)) return spot([properties.job], lat, lng, undefined);
      const id = properties.cluster_id;
      const jobs = this.index.getLeaves(id, Infinity).map((leaf) => leaf.properties.job);
      const apart = this.index.getClusterExpansionZoom(id);
      return spot(jobs, lat, lng, apart <= MOST_ZOOM ? apart : undefined);
    });
  }
}

function spot(jobs: Job[], lat: number, lng: number, apart: number | undefined): Spot {
  const places = new Set(jobs.map(({ location }) => town(location?.address ?? "")));
  const [place] = places;
  return {
    key: jobs.map(({ id }) => id).join(" "),
    jobs,
    lat,
    lng,
    place: places.size === 1 && place ? place : undefined,
    apart,
  };
}

/** The first part of an address: there is no room for more. */
const town = (address: string): string => (address.split(",")[0] ?? "").trim();
