// Run by mongosh against the first member: makes all three one replica set, once, and returns when it has a primary.

const members = ["mongo-1:27017", "mongo-2:27017", "mongo-3:27017"];

try {
  rs.status();
} catch (error) {
  if (error.codeName !== "NotYetInitialized") throw error;
  rs.initiate({ _id: "rialto", members: members.map((host, _id) => ({ _id, host })) });
}

while (!db.hello().primary) sleep(200);
print(`primary: ${db.hello().primary}`);
