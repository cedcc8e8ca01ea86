"""
Topics without labels
=====================

What is in a heap of texts that nobody has sorted? KMeans on the features of the encoder
puts like texts together, and the words that a cluster has more often than the others (a
TF-IDF in which a cluster is one document) name it.

The tickets are synthetic. Their topics are known, and are looked at only in the end.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import normalize

from sklearn_attnft import TransformerFeatureExtractor
from sklearn_attnft.datasets import load_support_tickets

X, topics = load_support_tickets(subset="train", return_X_y=True)
extractor = TransformerFeatureExtractor(cache="memory")
features = normalize(extractor.fit_transform(X))  # lengths aside, angles only
clusters = KMeans(7, n_init=10, random_state=0).fit_predict(features)

# %%
# The words of a cluster: their share in it, times the logarithm of how rare they are
# over all clusters (Grootendorst 2022, arXiv 2203.05794).

vectorizer = CountVectorizer(
    stop_words="english", min_df=3, token_pattern=r"\b[a-z]{3,}\b"
)
counts = vectorizer.fit_transform(X)
of_cluster = np.stack([counts[clusters == k].sum(axis=0).A1 for k in range(7)])
share = of_cluster / of_cluster.sum(axis=1, keepdims=True)
weight = share * np.log1p(of_cluster.sum() / 7 / of_cluster.sum(axis=0))
words = vectorizer.get_feature_names_out()
names = [", ".join(words[np.argsort(-row)[:6]]) for row in weight]
for k, name in enumerate(names):
    print(f"{k} ({(clusters == k).sum():3d} texts): {name}")

# %%
# Beside the topics that people gave: account, billing and delivery have a cluster each,
# the others are spread over several. 0 would be chance, 1 the same partition.

print(f"adjusted Rand index {adjusted_rand_score(topics, clusters):.2f}")
print(pd.crosstab(pd.Series(clusters, name="cluster"), pd.Series(topics, name="topic")))

# %%
# Two directions of the 384, as a picture: neighbours in it need not be neighbours.

plane = PCA(2).fit_transform(features)
figure, axes = plt.subplots(figsize=(7, 5.5), layout="constrained")
for k, name in enumerate(names):
    label = ", ".join(name.split(", ")[:3])
    axes.scatter(*plane[clusters == k].T, s=12, label=f"{k}: {label}")
axes.set(xticks=[], yticks=[])
axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
