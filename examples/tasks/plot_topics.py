"""
Topics without labels
=====================

This example finds topics in unlabeled texts. KMeans clusters the features of the
encoder. The name of a cluster consists of the words that are more frequent in it than
in the others, which is a TF-IDF in which each cluster is one document.

The texts are the first sentences of encyclopedia articles, a small part of DBpedia-14.
Their labels are used at the end only, for comparison.

Read more: :doc:`/guide/features`.
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

frame = pd.read_csv("../data/dbpedia14.csv")
train = frame[frame["subset"] == "train"]
X, topics = train["text"], train["label"]
extractor = TransformerFeatureExtractor(cache="memory")
features = normalize(extractor.fit_transform(X))  # compare angles only
clusters = KMeans(14, n_init=10, random_state=0).fit_predict(features)

# %%
# The weight of a word in a cluster is its relative frequency in the cluster times the
# logarithm of its inverse frequency in all clusters (Grootendorst 2022, arXiv
# 2203.05794).

vectorizer = CountVectorizer(
    stop_words="english", min_df=3, token_pattern=r"\b[a-z]{3,}\b"
)
counts = vectorizer.fit_transform(X)
word_counts = np.stack([counts[clusters == k].sum(axis=0).A1 for k in range(14)])
frequency = word_counts / word_counts.sum(axis=1, keepdims=True)
weight = frequency * np.log1p(word_counts.sum() / 14 / word_counts.sum(axis=0))
words = vectorizer.get_feature_names_out()
names = [", ".join(words[np.argsort(-row)[:6]]) for row in weight]
for k, name in enumerate(names):
    print(f"{k} ({(clusters == k).sum():3d} texts): {name}")

# %%
# Compared with the labels, an adjusted Rand index of 0 is expected by chance, and 1
# means equal partitions. The most frequent label of each cluster, with its fraction:

print(f"adjusted Rand index {adjusted_rand_score(topics, clusters):.2f}")
for k, part in topics.groupby(clusters):
    fraction = part.value_counts(normalize=True)
    print(f"{k}: {fraction.index[0]} {fraction.iloc[0]:.0%}")

# %%
# The first two principal components of the 384 features. Texts that are close in the
# plot can be distant in the full space.

plane = PCA(2).fit_transform(features)
figure, axes = plt.subplots(figsize=(7, 5.5), layout="constrained")
for k, name in enumerate(names):
    label = ", ".join(name.split(", ")[:3])
    axes.scatter(*plane[clusters == k].T, s=12, label=f"{k}: {label}")
axes.set(title="Clusters of unlabeled articles", xticks=[], yticks=[])
axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
