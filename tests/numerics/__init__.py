"""Golden numerics: what today's code computes, recorded, so that a refactoring can be proven."""
