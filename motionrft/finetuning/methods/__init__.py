"""Fine-tuning methods, one short file each: settings and a plan. Free of torch."""
