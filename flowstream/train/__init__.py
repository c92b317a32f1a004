"""Training of one stream: a recipe and a split to checkpoints, a checkpoint and a split to scores.

`flowstream.train.recipe.StreamRecipe` says how, `flowstream.train.fit.fit` trains,
`flowstream.train.predict.predict` scores the videos of a part, `flowstream.train.checkpoint` keeps
what was learnt.
"""
