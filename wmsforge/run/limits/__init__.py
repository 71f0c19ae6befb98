"""How fast a provider may be asked: one `Limiter` for all models and steps that share its quota."""
