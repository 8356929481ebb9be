"""Print the Greeks of an underlying as they come: aiokafka and pyarrow, nothing of Axiom's.

pip install aiokafka pyarrow
python greeks.py 127.0.0.1:9092 GOOG [MESSAGES]
"""

import asyncio
import json
import sys
import uuid

import pyarrow as pa
from aiokafka import AIOKafkaConsumer

COLUMNS = ["contract", "theo", "vol", "delta", "gamma", "vega", "theta"]
MAX_MESSAGE_BYTES = 8 * 1024 * 1024


async def main(bootstrap: str, underlying: str, messages: int) -> None:
    """Print so many messages; a negative number has no end."""
    consumer = AIOKafkaConsumer(
        "pricing.greeks",
        bootstrap_servers=bootstrap,
        group_id=f"example-{uuid.uuid4()}",
        auto_offset_reset="earliest",  # all that is kept; "latest" begins with the next message
        enable_auto_commit=False,
        max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
    )
    await consumer.start()
    try:
        async for message in consumer:
            headers = {name: value for name, value in message.headers if value is not None}
            if headers.get("schema") != b"GreeksComputed" or message.key.decode() != underlying:
                continue
            table = pa.ipc.open_stream(message.value).read_all()
            event = json.loads(table.schema.metadata[b"axiom.header"])
            print(event["underlying"], event["ts_event"], "spot", event["spot"], "contracts", table.num_rows)
            for row in table.select(COLUMNS).slice(0, 3).to_pylist():
                print("  " + "  ".join(f"{name} {value:.6g}" for name, value in row.items()))
            sys.stdout.flush()
            messages -= 1
            if messages == 0:
                return
    finally:
        await consumer.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else -1))
