"""The pipeline in one process, without a broker: records enter, every topic's records leave."""
