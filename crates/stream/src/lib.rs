//! Records on their way from producers to consumers: an embedded durable log, or Kafka.
