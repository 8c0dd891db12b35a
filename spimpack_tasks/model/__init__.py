"""Facts and values of the field: entities, orientation, the plan. Standard library only."""
