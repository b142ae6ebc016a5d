"""The best schedule of retraining in hindsight, from one run that trained at every time that comes into question."""
