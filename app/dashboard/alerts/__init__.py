"""What happens and how everything is enter; alerts, at a bearable rate, leave."""
