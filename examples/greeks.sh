#!/usr/bin/env bash
# The Greeks topic with the console consumer of Apache Kafka; the payload of a message is a whole Arrow IPC stream.
#   greeks.sh headers 127.0.0.1:9092 [MESSAGES]     key and headers of each message, one a line
#   greeks.sh payload 127.0.0.1:9092 > greeks.arrow one payload, for any Arrow reader
# It takes kafka-console-consumer.sh from the PATH, or the jars in KAFKA_LIBS.
set -euo pipefail

consume() {
    if [ -n "${KAFKA_LIBS:-}" ]; then
        java -Xmx128m -cp "$KAFKA_LIBS/*" org.apache.kafka.tools.consumer.ConsoleConsumer "$@"
    else
        kafka-console-consumer.sh "$@"
    fi
}

common=(--bootstrap-server "$2" --topic pricing.greeks --from-beginning --timeout-ms 15000
    --command-property max.partition.fetch.bytes=8388608)

case $1 in
    headers)
        consume "${common[@]}" --max-messages "${3:-10}" --formatter-property print.value=false \
            --formatter-property print.key=true --formatter-property print.headers=true \
            --formatter-property headers.deserializer=org.apache.kafka.common.serialization.StringDeserializer
        ;;
    payload)
        consume "${common[@]}" --max-messages 1 --formatter-property line.separator=
        ;;
    *)
        echo "headers or payload" >&2
        exit 2
        ;;
esac
