// Begins to do something, and never ends: a test kills it.
import { Client } from "../dist/index.js";

const client = new Client({ baseUrl: process.env.SEEOTHER_TEST_URL, token: process.env.SEEOTHER_TEST_TOKEN });
await client.once(
  "killed",
  () => {
    console.log("running");
    return new Promise(() => setInterval(() => {}, 1000));
  },
  { lease: 2 },
);
