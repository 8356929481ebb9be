// Print the Greeks of an underlying as they come: kafkajs and apache-arrow, nothing of Axiom's.
//
//   npm ci
//   node greeks.mjs 127.0.0.1:9092 GOOG [MESSAGES]

import { randomUUID } from "node:crypto";
import { tableFromIPC } from "apache-arrow";
import { Kafka, logLevel } from "kafkajs";

const [bootstrap, underlying, count] = process.argv.slice(2);
const COLUMNS = ["contract", "theo", "vol", "delta", "gamma", "vega", "theta"];
let messages = count === undefined ? Infinity : Number(count);

const kafka = new Kafka({ clientId: "example", brokers: bootstrap.split(","), logLevel: logLevel.ERROR });
const consumer = kafka.consumer({ groupId: `example-${randomUUID()}`, maxBytesPerPartition: 8 * 1024 * 1024 });

await consumer.connect();
await consumer.subscribe({ topic: "pricing.greeks", fromBeginning: true });

await new Promise((done, failed) => {
  consumer.run({
    autoCommit: false,
    eachMessage: async ({ message }) => {
      if (messages === 0) return;
      if (message.headers.schema?.toString() !== "GreeksComputed" || message.key.toString() !== underlying) return;
      const table = tableFromIPC(message.value);
      const event = JSON.parse(table.schema.metadata.get("axiom.header"));
      console.log(event.underlying, event.ts_event, "spot", event.spot, "contracts", table.numRows);
      for (const row of table.select(COLUMNS).slice(0, 3).toArray()) {
        console.log("  " + COLUMNS.map((name) => `${name} ${row[name]}`).join("  "));
      }
      messages -= 1;
      if (messages === 0) done();
    },
  }).catch(failed);
});
await consumer.disconnect();
